// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <span>

#include "format/geometry.h"

namespace netcow::test {

/// Reads what a fuzzer made up, piece by piece; zeros when it is used up.
class FuzzInput {
 public:
  explicit FuzzInput(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool empty() const { return bytes_.empty(); }

  std::uint8_t byte() {
    if (bytes_.empty()) {
      return 0;
    }
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }

  /// Up to `count` bytes, as many as are left.
  std::span<const std::byte> take(std::size_t count) {
    const auto taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return std::as_bytes(taken);
  }

  /// Any number; small ones and those at which something changes or overflows are likely.
  std::uint64_t number() {
    const std::uint8_t kind = byte();
    if (kind < 128) {
      return kind;
    }
    if (kind < 224) {
      const std::uint64_t edge = kEdges[kind % std::size(kEdges)];
      return edge + byte() % 3 - 1;
    }
    std::uint64_t value = 0;
    for (int i = 0; i <= kind % 8; ++i) {
      value = value << 8U | byte();
    }
    return value;
  }

 private:
  static constexpr auto kLargest =
      static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  static constexpr std::uint64_t kEdges[] = {
      0,
      320,
      kBlockSize,
      65'536,
      kClusterSize,
      2 * kClusterSize,
      3 * kClusterSize,
      kTableSpan,
      2 * kTableSpan,
      std::uint64_t{1} << 31U,
      std::uint64_t{1} << 32U,
      kDefaultMaxImageSize,
      kLargestImageSize,
      std::uint64_t{1} << 50U,
      kLargest / kClusterSize* kClusterSize,
      kLargest,
  };
  std::span<const std::uint8_t> bytes_;
};

/// Ends the program, which the fuzzer takes for a find, unless `holds`.
inline void demand(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
  }
}

}  // namespace netcow::test
