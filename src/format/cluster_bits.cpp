// SPDX-License-Identifier: Apache-2.0
#include "format/cluster_bits.h"

#include <bit>

namespace netcow {

std::uint64_t ClusterBits::count() const {
  // By words: each write of a fresh block counts twice.
  std::uint64_t total = 0;
  for (const std::uint64_t word : std::bit_cast<std::array<std::uint64_t, 5>>(bytes)) {
    total += static_cast<std::uint64_t>(std::popcount(word));
  }
  return total;
}

std::uint64_t ClusterBits::findNext(std::uint64_t from, bool value) const {
  std::uint64_t block = from;
  while (block < kBlocksPerCluster) {
    const auto byte = static_cast<std::uint8_t>(value ? bytes[block / 8] : ~bytes[block / 8]);
    const auto rest = static_cast<std::uint8_t>(byte >> (block % 8));
    if (rest != 0) {
      return block + static_cast<std::uint64_t>(std::countr_zero(rest));
    }
    block = roundDown(block, 8) + 8;
  }
  return kBlocksPerCluster;
}

}  // namespace netcow
