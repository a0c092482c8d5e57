// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/checksum_list.h"

#include <sys/stat.h>

#include <boost/crc.hpp>
#include <cstdint>
#include <cstring>

#include "base/byte_order.h"
#include "base/logging.h"
#include "base/whole_io.h"
#include "format/dnbd3_messages.h"
#include "format/geometry.h"

namespace netcow {
namespace {

using Checksum = LittleEndian<std::uint32_t>;

bool isSound(const std::vector<std::byte>& list) {
  Checksum expected;
  std::memcpy(&expected, list.data(), sizeof expected);
  boost::crc_32_type crc;  // the same polynomial as zlib's
  crc.process_bytes(list.data() + sizeof expected, list.size() - sizeof expected);
  return crc.checksum() == expected;
}

}  // namespace

std::vector<std::byte> readChecksumList(const ImageCatalog& catalog, const ServedImage& image) {
  const UniqueFd fd = catalog.openChecksums(image.image());
  struct stat status = {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return {};
  }
  const std::uint64_t spans = divideRoundingUp(image.servedSize(), dnbd3::kCrcSpan);
  std::vector<std::byte> list((1 + spans) * sizeof(Checksum));
  if (static_cast<std::uint64_t>(status.st_size) != list.size() ||
      preadOrZeros(fd.get(), list, 0) || !isSound(list)) {
    spdlog::warn("the list of checksums {}.crc does not fit its image; it is not served",
                 catalog.pathOf(image.image()).string());
    return {};
  }
  return list;
}

}  // namespace netcow
