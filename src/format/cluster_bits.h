// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "format/geometry.h"

namespace netcow {

/// Which of a cluster's 320 blocks are local, as tables and upload bodies hold it: bit n is byte
/// n/8, bit n%8 counted from the least significant. Block numbers are within the cluster.
struct ClusterBits {
  std::array<std::uint8_t, 40> bytes = {};

  [[nodiscard]] bool test(std::uint64_t block) const {
    return ((bytes[block / 8] >> (block % 8)) & 1U) != 0;
  }
  void set(std::uint64_t block) {
    bytes[block / 8] = static_cast<std::uint8_t>(bytes[block / 8] | (1U << (block % 8)));
  }
  void clear(std::uint64_t block) {
    bytes[block / 8] = static_cast<std::uint8_t>(bytes[block / 8] & ~(1U << (block % 8)));
  }
  void setRange(std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t block = first; block < first + count; ++block) {
      set(block);
    }
  }
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] bool none() const { return *this == ClusterBits{}; }
  /// The first block at or after `from` whose bit is `value`; kBlocksPerCluster if there is none.
  [[nodiscard]] std::uint64_t findNext(std::uint64_t from, bool value) const;

  bool operator==(const ClusterBits&) const = default;
};

static_assert(sizeof(ClusterBits) == 40);
static_assert(kBlocksPerCluster == sizeof(ClusterBits) * 8);

}  // namespace netcow
