// SPDX-License-Identifier: Apache-2.0
// What the uploader asks of a session: which clusters are dirty, what they hold, what became of
// them.
//
// A cluster's `dirty` flag is true from the first change until an upload is acknowledged that
// carried the newest one; while it is true, the cluster is either in the queue or checked out.
// A writer counts its change as begun, looks at `dirty`, changes content, and counts it as ended.
// A snapshot takes the count of ended ones; acknowledgeUpload() clears `dirty` and compares it with
// the count of begun ones. All are sequentially consistent. So a cluster is called clean only if no
// change was under way at the snapshot and none has begun since; and a writer that begins after
// that comparison finds `dirty` cleared, and sets it in `live` before it changes a byte.
#include "session/session_parts.h"

namespace netcow {
namespace {

Clock::Time changedAt(const Cluster& cluster) {
  return Clock::Time(Clock::Time::duration(cluster.changedAt.load(std::memory_order_relaxed)));
}

}  // namespace

std::optional<std::uint64_t> Session::takeDirty(Clock::Time latest) {
  while (const auto cluster = parts_->dirtyQueue.takeOlderThan(latest)) {
    const Clock::Time newest = changedAt(*parts_->map->find(*cluster));
    if (newest <= latest) {
      return cluster;
    }
    // It changed since it was queued: its turn comes again later.
    parts_->dirtyQueue.add(*cluster, newest);
  }
  return std::nullopt;
}

void Session::returnDirty(std::uint64_t cluster) {
  parts_->dirtyQueue.add(cluster, changedAt(*parts_->map->find(cluster)));
}

std::optional<Clock::Time> Session::oldestDirty() const {
  return parts_->dirtyQueue.oldest();
}

void Session::whenDirty(std::function<void()> wake) {
  parts_->dirtyQueue.whenNoLongerEmpty(std::move(wake));
}

Session::DirtyCounts Session::dirtyCounts(Clock::Time latest) const {
  DirtyCounts counts;
  counts.old = parts_->dirtyQueue.countOlderThan(latest);
  const std::uint64_t all = parts_->dirtyQueue.size();
  counts.fresh = all > counts.old ? all - counts.old : 0;
  return counts;
}

Session::Pending Session::pending() const {
  const std::uint64_t imageEnd = imageSize();
  Pending pending;
  parts_->map->forEachAllocated([&](std::uint64_t number, const Cluster& cluster) {
    if (cluster.dirty.load(std::memory_order_relaxed) && number * kClusterSize < imageEnd) {
      pending.bytes += cluster.loadBits().count() * kBlockSize;
      pending.failed += cluster.fails.load(std::memory_order_relaxed) != 0 ? 1 : 0;
    }
  });
  return pending;
}

Session::Snapshot Session::snapshot(std::uint64_t cluster) const {
  const Cluster& state = *parts_->map->find(cluster);
  Snapshot snapshot;
  bool durable = false;
  const std::uint64_t checkpoints = parts_->checkpointer.ended();
  {
    const MutexLock lock(parts_->map->stripe(cluster));
    snapshot.changes = state.changesEnded.load();
    snapshot.bits = state.loadBits();
    durable = !state.needsCheckpoint && parts_->checkpointer.begun() == checkpoints;
  }
  // A server never forgets a block that it was sent; so nothing may take one back here: no power
  // cut, and no opener who goes back to the last checkpoint because a sync had failed. After that
  // needsCheckpoint tells nothing: the checkpoint that failed has cleared it.
  if (!durable || parts_->checkpointer.failedForGood()) {
    snapshot.notDurable = parts_->checkpointer.run();
  }
  return snapshot;
}

std::error_code Session::readBlocks(std::uint64_t cluster, std::uint64_t firstBlock,
                                    std::span<std::byte> buffer) const {
  const Cluster& state = *parts_->map->find(cluster);
  const auto place = static_cast<std::uint64_t>(state.dataOffset.load());
  return parts_->data.read(buffer, place + firstBlock * kBlockSize);
}

bool Session::acknowledgeUpload(std::uint64_t cluster, std::uint64_t changes) {
  Cluster& state = *parts_->map->find(cluster);
  const MutexLock lock(parts_->map->stripe(cluster));
  ++state.uploads;
  state.fails = 0;
  bool clean = false;
  // Another cluster's change may copy the whole table to `live`, and must not find the cluster
  // called clean for the moment of the second look: a writer that saw it dirty trusts `live`.
  parts_->tables.publishAtOnce([&] {
    if (state.changes.load() != changes) {
      return;
    }
    state.dirty.store(false);
    clean = state.changes.load() == changes;
    if (!clean) {
      // A writer came in between; if it saw `dirty` cleared it waits for the stripe and finds it
      // set again.
      state.dirty.store(true);
    }
  });
  // An entry that cannot be written leaves the cluster dirty on disk: it is sent once more after
  // a crash, and nothing is lost.
  static_cast<void>(parts_->tables.save(cluster, state, state.loadBits(), !clean));
  if (!clean) {
    parts_->dirtyQueue.add(cluster, changedAt(state));
  }
  return clean;
}

void Session::failUpload(std::uint64_t cluster) {
  Cluster& state = *parts_->map->find(cluster);
  const MutexLock lock(parts_->map->stripe(cluster));
  ++state.fails;
  static_cast<void>(parts_->tables.save(cluster, state, state.loadBits(), true));
}

std::optional<std::uint32_t> Session::uploadsIfCleanOnDisk(std::uint64_t cluster) const {
  const Cluster& state = *parts_->map->find(cluster);
  const std::uint64_t checkpoints = parts_->checkpointer.ended();
  const MutexLock lock(parts_->map->stripe(cluster));
  // As in snapshot(): a checkpoint that took the entry may not have ended yet.
  const bool onDisk = !state.needsCheckpoint && !state.unsaved &&
                      parts_->checkpointer.begun() == checkpoints &&
                      !parts_->checkpointer.failedForGood();
  if (!onDisk || state.dirty.load()) {
    return std::nullopt;
  }
  return state.uploads.load();
}

}  // namespace netcow
