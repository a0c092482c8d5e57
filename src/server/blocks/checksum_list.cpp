// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/checksum_list.h"

#include <sys/stat.h>

#include <cstdint>

#include "base/logging.h"
#include "base/whole_io.h"
#include "format/checksum_list.h"

namespace netcow {

std::vector<std::byte> readChecksumList(const ImageCatalog& catalog, const ServedImage& image) {
  const UniqueFd fd = catalog.openChecksums(image.image());
  struct stat status = {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return {};
  }
  std::vector<std::byte> list(ChecksumList::bytesFor(image.servedSize()));
  if (static_cast<std::uint64_t>(status.st_size) != list.size() ||
      preadOrZeros(fd.get(), list, 0) || !ChecksumList::parse(list)) {
    spdlog::warn("the list of checksums {}.crc does not fit its image; it is not served",
                 catalog.pathOf(image.image()).string());
    return {};
  }
  return list;
}

}  // namespace netcow
