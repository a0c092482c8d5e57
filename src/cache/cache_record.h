// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "format/image_name.h"

namespace netcow {

/// What the blocks in a cache's folder are of, kept beside them as cache.json. A folder without it
/// is no cache, and is left alone.
struct CacheRecord {
  ImageName image;
  std::uint64_t size = 0;  ///< bytes of the image
  std::string servers;     ///< host list they came from, separated by blanks

  /// Replaces the file in `folder`, durably. Throws std::system_error.
  void save(const std::string& folder) const;
  /// Nothing if there is no such file. Throws UserError if it cannot be understood.
  static std::optional<CacheRecord> load(const std::string& folder);

  /// Why blocks of this record are none of `other`'s, as the end of a sentence that begins with
  /// the folder's name; empty if they are. Names are not enough: two servers that have nothing to
  /// do with each other may have images of one name, so they must share a server too.
  [[nodiscard]] std::string whyNot(const CacheRecord& other) const;
};

/// The name of the folder for an image: the image's own, where a folder can be called that, and
/// %XX for every other byte; a very long one is cut, and ends in a checksum.
std::string cacheFolderName(const ImageName& image);

}  // namespace netcow
