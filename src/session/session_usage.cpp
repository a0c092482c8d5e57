// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "session/session_parts.h"

namespace netcow {

/// Costs by how much is local: 10 ns a cluster, 10 ms for a terabyte.
std::error_code Session::usage(Usage& usage) const {
  const std::uint64_t visible = std::min(validRemoteSize(), imageSize());
  const std::uint64_t visibleBlocks = divideRoundingUp(visible, kBlockSize);
  std::uint64_t covered = 0;
  parts_->map->forEachAllocated([&](std::uint64_t cluster, const Cluster& state) {
    const std::uint64_t first = cluster * kBlocksPerCluster;
    if (first >= visibleBlocks) {
      return;
    }
    const ClusterBits bits = state.loadBits();
    covered += bits.count();
    for (std::uint64_t block = visibleBlocks; block < first + kBlocksPerCluster; ++block) {
      covered -= bits.test(block - first) ? 1U : 0U;
    }
  });
  std::uint64_t allocated = 0;
  if (const auto error = parts_->dataFile->allocatedBytes(allocated)) {
    return error;
  }
  std::uint64_t freeOnDisk = 0;
  if (const auto error = parts_->dataFile->freeBytes(freeOnDisk)) {
    return error;
  }
  usage.dataBytes = (visibleBlocks - covered) * kBlockSize + allocated;
  usage.freeBytes = std::min(freeOnDisk, parts_->data.roomBelowLimit(allocated));
  return {};
}

}  // namespace netcow
