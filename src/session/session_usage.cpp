// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "session/session_parts.h"

namespace netcow {

std::uint64_t Session::Parts::coveredIn(std::uint64_t cluster, const ClusterBits& bits) const {
  const std::uint64_t visible = divideRoundingUp(header.validRemoteSize(), kBlockSize);
  const std::uint64_t first = cluster * kBlocksPerCluster;
  if (first >= visible) {
    return 0;
  }
  std::uint64_t covered = bits.count();
  for (std::uint64_t block = visible; block < first + kBlocksPerCluster; ++block) {
    covered -= bits.test(block - first) ? 1U : 0U;
  }
  return covered;
}

void Session::Parts::countCovered() {
  std::uint64_t covered = 0;
  map->forEachAllocated([&](std::uint64_t cluster, const Cluster& state) {
    covered += coveredIn(cluster, state.loadBits());
  });
  coveredBlocks.store(covered);
}

std::error_code Session::usage(Usage& usage) const {
  std::uint64_t allocated = 0;
  if (const auto error = parts_->dataFile->allocatedBytes(allocated)) {
    return error;
  }
  std::uint64_t freeOnDisk = 0;
  if (const auto error = parts_->dataFile->freeBytes(freeOnDisk)) {
    return error;
  }
  const std::uint64_t visible = divideRoundingUp(validRemoteSize(), kBlockSize);
  const std::uint64_t covered = std::min(visible, parts_->coveredBlocks.load());
  const std::uint64_t magic = std::min(allocated, kBlockSize);  // the first block of `data`
  usage.dataBytes = (visible - covered) * kBlockSize + allocated - magic;
  usage.freeBytes = std::min(freeOnDisk, parts_->data.roomBelowLimit(allocated));
  return {};
}

}  // namespace netcow
