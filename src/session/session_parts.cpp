// SPDX-License-Identifier: Apache-2.0
#include "session/session_parts.h"

namespace netcow {

Session::Parts::Parts(std::unique_ptr<Folder> openedFolder, LoadedSession loaded,
                      std::unique_ptr<LiveFile> liveFile, std::string recoveryText,
                      const Clock& sessionClock)
    : folder(std::move(openedFolder)),
      clock(sessionClock),
      recovery(std::move(recoveryText)),
      metaFile(std::move(loaded.meta)),
      dataFile(std::move(loaded.data)),
      live(std::move(liveFile)),
      map(std::move(loaded.map)),
      header(loaded.header, *live),
      data(*dataFile, loaded.dataBytes, loaded.header.nextClusterOffset),
      tables(*map, *metaFile, *live, layoutOf(loaded.header), sessionClock),
      checkpointer(*map, tables, header, data, *metaFile, *live, layoutOf(loaded.header),
                   sessionClock) {
  countCovered();
  map->forEachAllocated([this](std::uint64_t number, const Cluster& cluster) {
    ++allocatedClusters;
    if (cluster.dirty) {
      dirtyQueue.add(number, Clock::Time(Clock::Time::duration(cluster.changedAt.load())));
    }
  });
}

std::error_code Session::Parts::makeDirty(std::uint64_t cluster, Cluster& state) {
  if (state.dirty.load()) {
    return {};
  }
  // Published only when `live` has it: whoever sees the flag may rely on that.
  if (const auto error = tables.save(cluster, state, state.loadBits(), true)) {
    return error;
  }
  state.dirty.store(true);
  dirtyQueue.add(cluster, clock.now());
  return {};
}

std::error_code Session::Parts::commitBits(std::uint64_t cluster, Cluster& state,
                                           const ClusterBits& bits) {
  // Ends after the bits are published: a snapshot with the new count has the new bits too.
  const ChangeUnderWay underWay(state, clock);
  if (const auto error = tables.save(cluster, state, bits, true)) {
    return error;
  }
  coveredBlocks += coveredIn(cluster, bits) - coveredIn(cluster, state.loadBits());
  state.publishBits(bits);
  if (!state.dirty.exchange(true)) {
    dirtyQueue.add(cluster, clock.now());
  }
  return {};
}

std::error_code Session::Parts::allocate(std::uint64_t cluster, Cluster*& state) {
  if (const auto error = tables.obtain(cluster, state)) {
    return error;
  }
  if (state->allocated()) {
    return {};
  }
  std::int64_t offset = 0;
  if (const auto error = data.allocate(offset)) {
    return error;
  }
  state->dataOffset.store(offset, std::memory_order_release);
  ++allocatedClusters;
  return {};
}

}  // namespace netcow
