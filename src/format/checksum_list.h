// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace netcow {

/// CRC-32 as zlib computes it, over bytes that come in parts.
class Crc32 {
 public:
  void add(std::span<const std::byte> bytes);
  [[nodiscard]] std::uint32_t value() const { return value_; }

 private:
  std::uint32_t value_ = 0;
};

/// The checksums of an image, as NAME.rN.crc beside it keeps them and GET_CRC32 answers them: u32
/// CRC-32 of the list that follows, then one u32 for each dnbd3::kCrcSpan bytes of the image, the
/// last over what is left, padded with zeros to a whole block. All little-endian.
class ChecksumList {
 public:
  /// Bytes of the list of an image of `imageSize` bytes.
  static std::uint64_t bytesFor(std::uint64_t imageSize);

  /// Nothing if `bytes` are no list, or its own checksum is wrong.
  static std::optional<ChecksumList> parse(std::span<const std::byte> bytes);

  [[nodiscard]] std::uint64_t spans() const { return checksums_.size(); }
  /// Of the span with this number, below spans().
  [[nodiscard]] std::uint32_t checksum(std::uint64_t span) const { return checksums_[span]; }

 private:
  std::vector<std::uint32_t> checksums_;
};

}  // namespace netcow
