// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace netcow {

/// The unit that is either local or remote, in bytes.
inline constexpr std::uint64_t kBlockSize = 4096;
/// The unit that is allocated in `data` and uploaded: 320 blocks.
inline constexpr std::uint64_t kBlocksPerCluster = 320;
inline constexpr std::uint64_t kClusterSize = kBlocksPerCluster * kBlockSize;
/// One L2 table describes 1024 clusters; one L1 entry points to one table.
inline constexpr std::uint64_t kClustersPerTable = 1024;
inline constexpr std::uint64_t kTableSpan = kClustersPerTable * kClusterSize;

/// What a session may grow to unless it was created with more: the reference's 10^12 bytes.
inline constexpr std::uint64_t kDefaultMaxImageSize = 1'000'000'000'000;
/// The largest image netcow accepts anywhere: 16 TiB.
inline constexpr std::uint64_t kLargestImageSize = std::uint64_t{16} << 40U;

static_assert(kClusterSize == 1'310'720);
static_assert(kTableSpan == 1'342'177'280);

constexpr std::uint64_t divideRoundingUp(std::uint64_t value, std::uint64_t unit) {
  return value / unit + (value % unit != 0 ? 1 : 0);
}
/// `value` must be at least one `unit` below 2^64.
constexpr std::uint64_t roundUp(std::uint64_t value, std::uint64_t unit) {
  return divideRoundingUp(value, unit) * unit;
}
constexpr std::uint64_t roundDown(std::uint64_t value, std::uint64_t unit) {
  return value / unit * unit;
}

/// L1 entries of a session that may grow to `maxImageSize` bytes.
constexpr std::uint64_t tableCountFor(std::uint64_t maxImageSize) {
  return divideRoundingUp(maxImageSize, kTableSpan);
}

}  // namespace netcow
