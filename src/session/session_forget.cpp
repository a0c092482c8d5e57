// SPDX-License-Identifier: Apache-2.0
// Local blocks that become not local again: for a cache of the base, where nothing is lost by it.
//
// A cluster is forgotten in two steps. forget() clears its bits, in `live` first, as every change.
// releaseForgotten() makes a checkpoint and only then punches its blocks, so that no bit is ever
// set over a hole:
//   - a killed process leaves `live`, which has no bit of it from the first step on;
//   - a power cut leaves `meta`. Before the checkpoint it has the bits, and the content is still
//     there; after it, it has none.
// A block that is filled again in between is local again, and stays: punching is done under the
// stripe, and only where no bit is set. If the whole cluster was filled and forgotten again
// meanwhile, a later checkpoint may have put the bits of the time between into `meta`; then it is
// in the list again, and is left to the next release. That one waits for this one to end, so a
// cluster is never in the hands of two.
//
// A reader takes no lock, so it may look at a bit, and read when the block has been punched. It
// compares forgets() before and after: that counts up between clearing and punching. If it is the
// same after reading, no block that was local at the look had been punched by then; and a reader
// that began behind the counting sees the cleared bit, or one that was set behind it.
#include <algorithm>
#include <set>

#include "session/piece.h"
#include "session/session_parts.h"

namespace netcow {

std::error_code Session::fillBlocks(std::uint64_t block, std::span<const std::byte> content) {
  while (!content.empty()) {
    const Piece piece = firstPiece(block * kBlockSize, content.size());
    if (const auto error = parts_->fillBlocks(piece, content.first(piece.length))) {
      return error;
    }
    content = content.subspan(piece.length);
    block += piece.length / kBlockSize;
  }
  return {};
}

std::error_code Session::Parts::fillBlocks(const Piece& piece, std::span<const std::byte> content) {
  const MutexLock lock(map->stripe(piece.cluster));
  Cluster* state = nullptr;
  if (const auto error = allocate(piece.cluster, state)) {
    return error;
  }
  spaceMayReach(piece.cluster * kClusterSize + piece.within + piece.length);
  ClusterBits bits = state->loadBits();
  std::uint64_t block = state->runEnd(piece.firstBlock(), piece.endBlock(), true);
  if (block == piece.endBlock()) {
    return {};
  }
  while (block < piece.endBlock()) {
    const std::uint64_t end = state->runEnd(block, piece.endBlock(), false);
    const auto part =
        content.subspan((block - piece.firstBlock()) * kBlockSize, (end - block) * kBlockSize);
    if (const auto error = data.write(part, placeOf(*state) + block * kBlockSize)) {
      return error;
    }
    bits.setRange(block, end - block);
    block = state->runEnd(end, piece.endBlock(), true);
  }
  return commitBits(piece.cluster, *state, bits);
}

std::error_code Session::forget(std::uint64_t cluster) {
  Cluster* const state = parts_->map->find(cluster);
  if (state == nullptr) {
    return {};
  }
  const MutexLock lock(parts_->map->stripe(cluster));
  if (!state->allocated()) {
    return {};
  }
  if (!state->loadBits().none()) {
    // As where a server replaces bits: by this an opener knows the entry for a newer one, though
    // it has less.
    ++state->uploads;
    if (const auto error = parts_->commitBits(cluster, *state, ClusterBits{})) {
      return error;
    }
    parts_->forgets.fetch_add(1);
  }
  // Before the stripe is let go: whoever punches looks here first.
  const MutexLock listLock(parts_->forgottenMutex);
  parts_->forgotten.insert(cluster);
  return {};
}

std::uint64_t Session::forgets() const {
  return parts_->forgets.load();
}

std::error_code Session::releaseForgotten() {
  const MutexLock oneAtATime(parts_->releaseMutex);
  std::set<std::uint64_t> clusters;
  {
    const MutexLock lock(parts_->forgottenMutex);
    clusters.swap(parts_->forgotten);
  }
  if (clusters.empty()) {
    return {};
  }
  std::error_code result = parts_->checkpointer.run();
  for (auto next = clusters.begin(); next != clusters.end() && !result;) {
    result = parts_->punchForgotten(*next);
    next = result ? next : clusters.erase(next);
  }
  const MutexLock lock(parts_->forgottenMutex);
  parts_->forgotten.insert(clusters.begin(), clusters.end());
  return result;
}

std::error_code Session::Parts::punchForgotten(std::uint64_t cluster) {
  const Cluster& state = *map->find(cluster);
  const MutexLock lock(map->stripe(cluster));
  {
    const MutexLock listLock(forgottenMutex);
    if (forgotten.contains(cluster)) {
      return {};  // again: what `meta` says of it now is not known
    }
  }
  std::uint64_t block = state.runEnd(0, kBlocksPerCluster, true);
  while (block < kBlocksPerCluster) {
    const std::uint64_t end = state.runEnd(block, kBlocksPerCluster, false);
    const std::uint64_t place = placeOf(state) + block * kBlockSize;
    const std::uint64_t length = (end - block) * kBlockSize;
    std::uint64_t bytes = 0;
    auto error = data.spaceIn(place, length, bytes);
    if (!error && bytes > 0) {
      error = data.punch(place, length);
    }
    if (error) {
      return error;
    }
    block = state.runEnd(end, kBlocksPerCluster, true);
  }
  return {};
}

std::error_code Session::spaceTaken(std::uint64_t& bytes) const {
  return parts_->dataFile->allocatedBytes(bytes);
}

std::uint64_t Session::localBlocks() const {
  return parts_->coveredBlocks.load();
}

}  // namespace netcow
