// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "support/seeded_random.h"

// What a client uploads and what must come of it, worked out without the code under test.
namespace netcow::test {

inline constexpr std::size_t kTestBlock = 4096;
inline constexpr std::uint64_t kTestBlocksPerCluster = 320;

/// One cluster's local blocks: number within the cluster -> content.
using ClusterContent = std::map<std::uint64_t, std::vector<std::byte>>;

inline ClusterContent randomCluster(SeededRandom& random, const std::set<std::uint64_t>& blocks) {
  ClusterContent content;
  for (const std::uint64_t block : blocks) {
    content[block] = random.bytes(kTestBlock);
  }
  return content;
}

/// The body of an update: 40 bytes of bits, then the blocks in ascending order.
inline std::vector<std::byte> updateBody(const ClusterContent& content) {
  std::vector<std::byte> body(40);
  for (const auto& [block, bytes] : content) {
    body[block / 8] |= static_cast<std::byte>(1U << (block % 8));
    body.insert(body.end(), bytes.begin(), bytes.end());
  }
  return body;
}

/// The base cut to `originalSize`, grown with zeros to `newSize`, the clusters on top, cut.
inline std::vector<std::byte> expectedImage(std::vector<std::byte> base, std::size_t originalSize,
                                            std::size_t newSize,
                                            const std::map<std::uint64_t, ClusterContent>& sent) {
  base.resize(std::min(base.size(), originalSize));
  base.resize(newSize);
  for (const auto& [cluster, content] : sent) {
    for (const auto& [block, bytes] : content) {
      const std::size_t at = (cluster * kTestBlocksPerCluster + block) * kTestBlock;
      if (at < newSize) {
        const std::size_t length = std::min(kTestBlock, newSize - at);
        std::copy_n(bytes.begin(), length, base.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
  }
  return base;
}

}  // namespace netcow::test
