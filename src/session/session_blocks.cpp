// SPDX-License-Identifier: Apache-2.0
// The session's data path: reads, writes, fills. Zeroing: session_zero.cpp.
//
// Local blocks are read and overwritten in place without a lock. A block becomes local under its
// cluster's stripe: content to `data`, entry to `live`, bit published, in this order. So a
// concurrent fill of the same block finds the bit and stands back, a reader that sees the bit
// finds the content, and a killed process leaves either both or neither.
#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "session/piece.h"
#include "session/session_parts.h"

namespace netcow {
namespace {

bool allLocal(const Cluster* cluster, const Piece& piece) {
  return cluster != nullptr &&
         cluster->runEnd(piece.firstBlock(), piece.endBlock(), true) == piece.endBlock();
}

}  // namespace

Session::Run Session::runAt(std::uint64_t offset, std::uint64_t length) const {
  const Piece piece = firstPiece(offset, length);
  Run run;
  const Cluster* const cluster = parts_->map->find(piece.cluster);
  if (cluster == nullptr) {
    run.length = piece.length;
    return run;
  }
  const auto [local, end] = cluster->runFrom(piece.firstBlock(), piece.endBlock());
  run.local = local;
  run.length = std::min(piece.within + piece.length, end * kBlockSize) - piece.within;
  if (run.local) {
    run.dataOffset = placeOf(*cluster) + piece.within;
  }
  return run;
}

bool Session::isLocal(std::uint64_t block) const {
  const Cluster* const cluster = parts_->map->find(block / kBlocksPerCluster);
  return cluster != nullptr && cluster->isLocal(block % kBlocksPerCluster);
}

std::error_code Session::readData(std::span<std::byte> buffer, std::uint64_t dataOffset) const {
  return parts_->data.read(buffer, dataOffset);
}

std::error_code Session::Parts::writeNewBlocks(std::uint64_t cluster, std::uint64_t within,
                                               std::span<const std::byte> bytes) {
  const Piece piece{cluster, within, bytes.size()};
  const MutexLock lock(map->stripe(cluster));
  Cluster* state = nullptr;
  if (const auto error = allocate(cluster, state)) {
    return error;
  }
  spaceMayReach(cluster * kClusterSize + within + bytes.size());
  const ChangeUnderWay underWay(*state, clock);
  const bool someAreLocal =
      state->runEnd(piece.firstBlock(), piece.endBlock(), false) != piece.endBlock();
  if (someAreLocal) {
    if (const auto error = makeDirty(cluster, *state)) {
      return error;
    }
  }
  if (const auto error = data.write(bytes, placeOf(*state) + within)) {
    return error;
  }
  ClusterBits bits = state->loadBits();
  bits.setRange(piece.firstBlock(), piece.endBlock() - piece.firstBlock());
  return commitBits(cluster, *state, bits);
}

std::error_code Session::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const Piece piece = firstPiece(offset, bytes.size());
    const auto part = bytes.first(piece.length);
    Cluster* state = parts_->map->find(piece.cluster);
    std::error_code error;
    if (allLocal(state, piece)) {
      error = parts_->overwrite(piece.cluster, *state, [&] {
        return parts_->data.write(part, placeOf(*state) + piece.within);
      });
    } else {
      error = parts_->writeNewBlocks(piece.cluster, piece.within, part);
    }
    if (error) {
      return error;
    }
    bytes = bytes.subspan(piece.length);
    offset += piece.length;
  }
  return {};
}

std::error_code Session::fill(std::uint64_t block, std::span<const std::byte> content,
                              bool& filled) {
  const std::uint64_t cluster = block / kBlocksPerCluster;
  const std::uint64_t within = block % kBlocksPerCluster;
  filled = false;
  const MutexLock lock(parts_->map->stripe(cluster));
  Cluster* state = nullptr;
  if (const auto error = parts_->allocate(cluster, state)) {
    return error;
  }
  if (state->isLocal(within)) {
    return {};
  }
  parts_->spaceMayReach((block + 1) * kBlockSize);
  if (const auto error = parts_->data.write(content, placeOf(*state) + within * kBlockSize)) {
    return error;
  }
  ClusterBits bits = state->loadBits();
  bits.set(within);
  filled = true;
  return parts_->commitBits(cluster, *state, bits);
}

std::error_code Session::replaceCluster(std::uint64_t cluster, const ClusterBits& bits,
                                        std::span<const std::byte> content) {
  if (cluster >= divideRoundingUp(maxImageSize(), kClusterSize)) {
    return errnoCode(EFBIG);
  }
  if (content.size() != bits.count() * kBlockSize) {
    return errnoCode(EINVAL);
  }
  const MutexLock lock(parts_->map->stripe(cluster));
  Cluster* state = nullptr;
  if (const auto error = parts_->allocate(cluster, state)) {
    return error;
  }
  std::uint64_t block = bits.findNext(0, true);
  while (block < kBlocksPerCluster) {
    const std::uint64_t end = bits.findNext(block, false);
    const std::uint64_t length = (end - block) * kBlockSize;
    const auto error =
        parts_->data.write(content.first(length), placeOf(*state) + block * kBlockSize);
    if (error) {
      return error;
    }
    content = content.subspan(length);
    block = bits.findNext(end, true);
  }
  ++state->uploads;
  return parts_->commitBits(cluster, *state, bits);
}

}  // namespace netcow
