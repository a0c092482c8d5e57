// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/byte_order.h"
#include "format/cluster_bits.h"

// The bytes of `sent`, which tells what the server of a session's upload holds of its clusters.
// docs/formats/session.md describes it. All integers are little-endian.
namespace netcow {

inline constexpr const char* kSentFileName = "sent";
inline constexpr std::uint64_t kSentMagic = 0x544E4553574F434E;  // "NCOWSENT"
inline constexpr std::uint32_t kSentVersion = 1;

/// The file begins with this.
struct SentHeader {
  LittleEndian<std::uint64_t> magic = kSentMagic;
  LittleEndian<std::uint32_t> version = kSentVersion;
  std::array<std::byte, 16> hashKey = {};  ///< drawn at random when the file is made
  std::array<std::byte, 100> reserved = {};
};

/// Record n lies at (n + 1) * 128, so it is within one sector of a disk. In no order, each cluster
/// once; what has not the right `check` is no record.
struct SentRecord {
  LittleEndian<std::uint64_t> cluster;
  LittleEndian<std::uint32_t>
      uploads;  ///< it tells of a cluster whose entry is clean and has these
  LittleEndian<std::uint32_t> flags;
  ClusterBits mayHold;              ///< blocks that the server was ever sent
  std::array<std::byte, 16> body;   ///< hash of the last body that was sent, with kBodyKnown
  std::array<std::byte, 16> check;  ///< hash of what it belongs to and of the fields above
  std::array<std::byte, 40> reserved = {};

  static constexpr std::uint32_t kBodyKnown = 1;  ///< the server has taken that body
};
static_assert(sizeof(SentHeader) == 128 && alignof(SentHeader) == 1);
static_assert(sizeof(SentRecord) == 128 && alignof(SentRecord) == 1);
static_assert(offsetof(SentHeader, hashKey) == 12);
static_assert(offsetof(SentRecord, uploads) == 8 && offsetof(SentRecord, flags) == 12);
static_assert(offsetof(SentRecord, mayHold) == 16 && offsetof(SentRecord, body) == 56);
static_assert(offsetof(SentRecord, check) == 72 && offsetof(SentRecord, reserved) == 88);

}  // namespace netcow
