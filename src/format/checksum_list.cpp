// SPDX-License-Identifier: Apache-2.0
#include "format/checksum_list.h"

#include <zlib.h>

#include <cstring>

#include "base/byte_order.h"
#include "format/dnbd3_messages.h"
#include "format/geometry.h"

namespace netcow {
namespace {

using Checksum = LittleEndian<std::uint32_t>;
static_assert(sizeof(Checksum) == 4);

}  // namespace

void Crc32::add(std::span<const std::byte> bytes) {
  if (bytes.empty()) {
    return;  // zlib takes a null pointer for the wish to begin
  }
  const auto* const begin = reinterpret_cast<const Bytef*>(bytes.data());
  value_ = static_cast<std::uint32_t>(::crc32_z(value_, begin, bytes.size()));
}

std::uint64_t ChecksumList::bytesFor(std::uint64_t imageSize) {
  return (1 + divideRoundingUp(imageSize, dnbd3::kCrcSpan)) * sizeof(Checksum);
}

std::optional<ChecksumList> ChecksumList::parse(std::span<const std::byte> bytes) {
  if (bytes.empty() || bytes.size() % sizeof(Checksum) != 0) {
    return std::nullopt;
  }
  std::vector<Checksum> numbers(bytes.size() / sizeof(Checksum));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  Crc32 own;
  own.add(bytes.subspan(sizeof(Checksum)));
  if (own.value() != numbers.front()) {
    return std::nullopt;
  }
  ChecksumList list;
  list.checksums_.assign(numbers.begin() + 1, numbers.end());
  return list;
}

}  // namespace netcow
