// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

#include "server/catalog/image_catalog.h"

namespace netcow {

/// The lists of checksums of the images of a catalog: NAME.rN.crc beside the image, or where that
/// folder cannot be written, below a folder of the server's own. docs/formats/dnbd3.md tells what
/// is in them.
///
/// A list that is older than its image says nothing about it, and counts as missing. So does one
/// that is not sound: of another length than the image needs, or with a wrong first checksum.
/// Thread-safe.
class ChecksumLists {
 public:
  /// `ownFolder` is made when the first list goes there. `catalog` must outlive this object.
  ChecksumLists(const ImageCatalog& catalog, std::filesystem::path ownFolder)
      : catalog_(catalog), ownFolder_(std::move(ownFolder)) {}

  /// The bytes of the list of an image: the answer to GET_CRC32. Empty when there is none.
  [[nodiscard]] std::vector<std::byte> read(const ServedImage& image) const;
  /// Whether there seems to be one, by the times and lengths of the files alone.
  [[nodiscard]] bool has(const ServedImage& image) const;

  /// Stores a list, in place of any that is there: readers see the old one or the new one, also
  /// after a crash. Throws std::system_error.
  void publish(const ServedImage& image, std::span<const std::byte> list);
  /// Removes the lists of an image that changed although its times do not tell.
  void remove(const ImageName& image) const;

 private:
  [[nodiscard]] std::filesystem::path besidePath(const ImageName& image) const;
  [[nodiscard]] std::filesystem::path ownPath(const ImageName& image) const;
  [[nodiscard]] std::vector<UniqueFd> open(const ImageName& image) const;

  const ImageCatalog& catalog_;
  const std::filesystem::path ownFolder_;
  std::atomic<bool> toldOfOwnFolder_ = false;
};

}  // namespace netcow
