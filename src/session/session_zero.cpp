// SPDX-License-Identifier: Apache-2.0
// Zeros and holes. A block that reads as zeros costs no space: it is a hole in `data`.
//
// zero() may run beside everything. It works on one cluster at a time, under its stripe:
//   - blocks that are local, or lie below validRemoteSize, have to become holes; if all of them
//     that are local are holes already, and none is not local, nothing is done at all;
//   - the cluster turns dirty in `live` before the first byte changes, as in overwrite();
//   - the blocks are punched in `data`. Those not local too: a write that failed may have left
//     something there;
//   - those not local become local: the entry to `live`, then the bits.
//
// Beside a write of the same blocks that takes no lock, the file system puts one after the other,
// block by block. Beside a fill: whichever takes the stripe first comes first. If it is the fill,
// the block is local and is punched; if it is zero(), the fill finds the block local and writes
// only its waiting parts. So a fill never undoes a zero. Beside an upload: the change is counted
// before the first byte changes and ends after the bits are published, so an upload that may have
// read the old content leaves the cluster dirty.
//
// Left alone is a local block that is a hole: it was zeros at that moment, and
//   every local block inside the image that is a hole in `data` is zeros on the server, or its
//   cluster is dirty,
// because whatever made the hole (a bit set over one, a zero) made the cluster dirty. The one
// exception lies behind the end of the image: releaseBehindEnd() makes holes and nothing dirty,
// which is why growing goes by zeroLocal(), which makes dirty what is local there, hole or not.
//
// A killed process leaves each block as it was or as zeros, in a cluster that is dirty. After a
// power cut a block that was local at the last checkpoint is what it was or zeros; one that was
// not is not local, unless a checkpoint has covered it, which synced `data` first.
#include <cerrno>
#include <vector>

#include "base/errors.h"
#include "session/piece.h"
#include "session/session_parts.h"

namespace netcow {
namespace {

/// A run of blocks of one cluster.
struct BlockRun {
  std::uint64_t first;
  std::uint64_t end;
};

/// What zero() has to do in one cluster.
struct ZeroPlan {
  std::vector<BlockRun> punch;
  bool localContent = false;  ///< some of it is local
  bool newBlocks = false;     ///< some of it is not
  ClusterBits bits;           ///< what is local afterwards
};

/// Adds the blocks of a local run that are no holes.
std::error_code planLocal(const DataFile& data, std::uint64_t place, BlockRun run, ZeroPlan& plan) {
  while (run.first < run.end) {
    DataFile::Extent extent;
    const auto error =
        data.extentAt(place + run.first * kBlockSize, (run.end - run.first) * kBlockSize, extent);
    if (error) {
      return error;
    }
    const std::uint64_t end = run.first + extent.length / kBlockSize;
    if (extent.data) {
      plan.punch.push_back({run.first, end});
      plan.localContent = true;
    }
    run.first = end;
  }
  return {};
}

/// `baseEnd`: the first block of the cluster that the base does not reach.
std::error_code planZero(const DataFile& data, const Cluster& state, const Piece& piece,
                         std::uint64_t baseEnd, ZeroPlan& plan) {
  plan.bits = state.loadBits();
  std::uint64_t block = piece.firstBlock();
  while (block < piece.endBlock()) {
    const auto [local, end] = state.runFrom(block, piece.endBlock());
    if (local) {
      if (const auto error = planLocal(data, placeOf(state), {block, end}, plan)) {
        return error;
      }
    } else if (block < baseEnd) {
      const std::uint64_t newEnd = std::min(end, baseEnd);
      plan.punch.push_back({block, newEnd});
      plan.bits.setRange(block, newEnd - block);
      plan.newBlocks = true;
    }
    block = end;
  }
  return {};
}

/// How many blocks of a cluster the base reaches.
std::uint64_t baseBlocksIn(std::uint64_t cluster, std::uint64_t validRemoteSize) {
  const std::uint64_t begin = cluster * kClusterSize;
  const std::uint64_t bytes = validRemoteSize > begin ? validRemoteSize - begin : 0;
  return std::min(kBlocksPerCluster, divideRoundingUp(bytes, kBlockSize));
}

}  // namespace

std::error_code Session::zero(std::uint64_t offset, std::uint64_t length) {
  if (offset % kBlockSize != 0 || length % kBlockSize != 0) {
    return errnoCode(EINVAL);
  }
  const std::uint64_t most = roundUp(maxImageSize(), kBlockSize);
  if (offset > most || length > most - offset) {
    return errnoCode(EFBIG);
  }
  const std::uint64_t visible = validRemoteSize();
  while (length > 0) {
    std::uint64_t done = 0;
    if (offset >= visible && parts_->map->table(offset / kTableSpan) == nullptr) {
      done = std::min(length, kTableSpan - offset % kTableSpan);
    } else {
      const Piece piece = firstPiece(offset, length);
      if (const auto error = parts_->zero(piece, baseBlocksIn(piece.cluster, visible))) {
        return error;
      }
      done = piece.length;
    }
    offset += done;
    length -= done;
  }
  return {};
}

std::error_code Session::Parts::zero(const Piece& piece, std::uint64_t baseEnd) {
  const MutexLock lock(map->stripe(piece.cluster));
  Cluster* state = map->find(piece.cluster);
  if (piece.firstBlock() < baseEnd) {
    if (const auto error = allocate(piece.cluster, state)) {
      return error;
    }
  }
  if (state == nullptr || !state->allocated()) {
    return {};
  }
  ZeroPlan plan;
  if (const auto error = planZero(data, *state, piece, baseEnd, plan)) {
    return error;
  }
  if (plan.punch.empty()) {
    return {};
  }
  const ChangeUnderWay underWay(*state, clock);
  if (plan.localContent) {
    if (const auto error = makeDirty(piece.cluster, *state)) {
      return error;
    }
  }
  for (const BlockRun& run : plan.punch) {
    const auto error =
        data.punch(placeOf(*state) + run.first * kBlockSize, (run.end - run.first) * kBlockSize);
    if (error) {
      return error;
    }
  }
  return plan.newBlocks ? commitBits(piece.cluster, *state, plan.bits) : std::error_code{};
}

std::error_code Session::zeroLocal(std::uint64_t offset, std::uint64_t length) {
  parts_->spaceMayReach(offset + length);  // the image is about to grow
  while (length > 0) {
    if (parts_->map->table(offset / kTableSpan) == nullptr) {
      const std::uint64_t skip = std::min(length, kTableSpan - offset % kTableSpan);
      offset += skip;
      length -= skip;
      continue;
    }
    const Run run = runAt(offset, length);
    if (run.local) {
      const std::uint64_t cluster = offset / kClusterSize;
      const auto error = parts_->overwrite(cluster, *parts_->map->find(cluster), [&] {
        return parts_->data.zero(run.dataOffset, run.length);
      });
      if (error) {
        return error;
      }
    }
    offset += run.length;
    length -= run.length;
  }
  return {};
}

}  // namespace netcow
