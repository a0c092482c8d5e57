// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "session/block_map.h"

namespace netcow {

/// One cluster's part of a range of the image.
struct Piece {
  std::uint64_t cluster = 0;
  std::uint64_t within = 0;  ///< bytes into the cluster
  std::uint64_t length = 0;

  [[nodiscard]] std::uint64_t firstBlock() const { return within / kBlockSize; }
  [[nodiscard]] std::uint64_t endBlock() const {
    return divideRoundingUp(within + length, kBlockSize);
  }
};

inline Piece firstPiece(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t within = offset % kClusterSize;
  return {offset / kClusterSize, within, std::min(length, kClusterSize - within)};
}

/// Where an allocated cluster lies in `data`.
inline std::uint64_t placeOf(const Cluster& cluster) {
  return static_cast<std::uint64_t>(cluster.dataOffset.load(std::memory_order_acquire));
}

}  // namespace netcow
