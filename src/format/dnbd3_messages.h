// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/byte_order.h"

// The dnbd3 wire protocol, version 3. docs/formats/dnbd3.md describes it.
namespace netcow::dnbd3 {

inline constexpr std::uint16_t kMagic = 0x7273;
inline constexpr std::uint16_t kVersion = 3;
inline constexpr std::uint16_t kLeastVersion = 2;
inline constexpr std::uint16_t kDefaultPort = 5003;
/// The longest payload a client may send, in bytes.
inline constexpr std::uint32_t kMaxRequestPayload = 1000;
/// A CRC list holds one CRC-32 for each of these many bytes of the image.
inline constexpr std::uint64_t kCrcSpan = std::uint64_t{16} << 20U;

enum class Command : std::uint16_t {
  getBlock = 1,
  selectImage = 2,
  getServers = 3,
  error = 4,
  keepAlive = 5,
  latestRevision = 6,
  setClientMode = 7,
  getCrc32 = 8,
};

struct RequestHeader {
  LittleEndian<std::uint16_t> magic = kMagic;
  LittleEndian<std::uint16_t> command;
  LittleEndian<std::uint32_t> size;           ///< getBlock: bytes wanted; else of the payload
  LittleEndian<std::uint64_t> offsetAndHops;  ///< low 56 bits: offset; top 8: hop count
  LittleEndian<std::uint64_t> handle;

  [[nodiscard]] std::uint64_t offset() const { return offsetAndHops & kOffsetMask; }
  [[nodiscard]] std::uint8_t hops() const {
    return static_cast<std::uint8_t>(offsetAndHops >> kOffsetBits);
  }
  static constexpr unsigned kOffsetBits = 56;
  static constexpr std::uint64_t kOffsetMask = (std::uint64_t{1} << kOffsetBits) - 1;
};
static_assert(sizeof(RequestHeader) == 24 && alignof(RequestHeader) == 1);
static_assert(offsetof(RequestHeader, command) == 2 && offsetof(RequestHeader, size) == 4);
static_assert(offsetof(RequestHeader, offsetAndHops) == 8);
static_assert(offsetof(RequestHeader, handle) == 16);

struct ReplyHeader {
  LittleEndian<std::uint16_t> magic = kMagic;
  LittleEndian<std::uint16_t> command;
  LittleEndian<std::uint32_t> size;  ///< of the payload that follows
  LittleEndian<std::uint64_t> handle;
};
static_assert(sizeof(ReplyHeader) == 16 && alignof(ReplyHeader) == 1);
static_assert(offsetof(ReplyHeader, command) == 2 && offsetof(ReplyHeader, size) == 4);
static_assert(offsetof(ReplyHeader, handle) == 8);

/// One entry of the answer to getServers; at most 8 of them.
struct ServerEntry {
  std::array<std::uint8_t, 16> address = {};  ///< network order; IPv4 in the first 4
  std::array<std::uint8_t, 2> port = {};      ///< network order
  std::uint8_t type = kNone;
  std::uint8_t failures = 0;

  static constexpr std::uint8_t kNone = 0;
  static constexpr std::uint8_t kIpv4 = 2;
  static constexpr std::uint8_t kIpv6 = 10;
};
static_assert(sizeof(ServerEntry) == 20 && alignof(ServerEntry) == 1);
static_assert(offsetof(ServerEntry, port) == 16 && offsetof(ServerEntry, type) == 18);
inline constexpr std::size_t kMaxServerEntries = 8;

/// Payload of a selectImage request.
struct SelectRequest {
  std::uint16_t version = kVersion;
  std::string name;
  std::uint16_t revision = 0;  ///< 0 = latest
  std::uint8_t flags = 0;      ///< kIsServer, kBackground

  static constexpr std::uint8_t kIsServer = 1;
  static constexpr std::uint8_t kBackground = 2;
};

/// Payload of its answer.
struct SelectReply {
  std::uint16_t version = kVersion;
  std::string name;
  std::uint16_t revision = 0;
  std::uint64_t size = 0;  ///< bytes, a multiple of 4096
};

using Bytes = std::vector<std::byte>;

/// Header and payload of a whole message.
Bytes encode(const SelectRequest& select);
Bytes encode(const SelectReply& select);
/// The payload alone; nothing if it is malformed. A missing flags byte reads as 0.
std::optional<SelectRequest> decodeSelectRequest(std::span<const std::byte> payload);
std::optional<SelectReply> decodeSelectReply(std::span<const std::byte> payload);

/// A request for `size` bytes at `offset` (below 2^56), hop count 0.
RequestHeader blockRequest(std::uint64_t offset, std::uint32_t size, std::uint64_t handle);
RequestHeader plainRequest(Command command, std::uint64_t handle = 0);

}  // namespace netcow::dnbd3
