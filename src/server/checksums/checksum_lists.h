// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "server/catalog/image_catalog.h"
#include "server/checksums/file_state.h"

namespace netcow {

/// The lists of checksums of the images of a catalog: NAME.rN.crc beside the image, or where that
/// folder cannot be written, below a folder of the server's own. docs/formats/dnbd3.md tells what
/// is in them.
///
/// A list that is older than its image says nothing about it, and counts as missing. So does one
/// that is not sound: of another length than the image needs, or with a wrong first checksum. Such
/// a list is told of in the log, once. An image that another one has replaced has no list any more:
/// what lies there is that of the other.
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
  /// Which lists lie there for an image, whether they fit it or not.
  [[nodiscard]] std::vector<FileState> states(const ImageName& image) const;
  /// The image changed although its times need not tell: removes those of its lists that are still
  /// what they were `before`, or serves them no more, and tells so in the log. One that came since
  /// may be of the new content.
  void removeThoseOf(const ImageName& image, const std::vector<FileState>& before) const;

 private:
  struct Found {
    std::filesystem::path path;
    UniqueFd fd;
  };

  [[nodiscard]] std::filesystem::path besidePath(const ImageName& image) const;
  [[nodiscard]] std::filesystem::path ownPath(const ImageName& image) const;
  [[nodiscard]] std::vector<Found> open(const ImageName& image) const;
  [[nodiscard]] bool isReplaced(const ServedImage& image) const;
  [[nodiscard]] bool isStale(const Found& list) const;
  void tellOnce(const Found& list, const std::string& why) const;

  const ImageCatalog& catalog_;
  const std::filesystem::path ownFolder_;
  std::atomic<bool> toldOfOwnFolder_ = false;
  mutable Mutex mutex_;
  // Both by path: at most two for each image that there ever was.
  mutable std::map<std::string, FileState> told_ NETCOW_GUARDED_BY(mutex_);
  mutable std::map<std::string, FileState> stale_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow
