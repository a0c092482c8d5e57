// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "format/image_name.h"
#include "server/catalog/served_image.h"

namespace netcow {

/// The images of one folder and its sub-folders.
///
/// The folder itself is the only truth: every look-up goes to the file system (one path for a
/// revision, one sub-folder for "the latest"), so an image that is merged, copied in or removed is
/// there or gone at once, and there is nothing to refresh.
///
/// An image is a regular file NAME.rN that is not empty. A symbolic link counts as what it leads
/// to as long as that lies inside the folder; clients cannot make links, so a race with somebody
/// who changes the folder at the same time is none of our concern.
///
/// Immutable, so thread-safe.
class ImageCatalog {
 public:
  /// Throws UserError when `folder` is not a folder that can be read.
  explicit ImageCatalog(const std::string& folder);

  /// Real path of the folder.
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  /// Opens an image; revision 0 = the latest. Nothing if there is no such image or the name is not
  /// valid; throws std::system_error when there is one that cannot be opened (no descriptors left,
  /// no permission).
  [[nodiscard]] std::optional<ServedImage> open(const std::string& name,
                                                std::uint16_t revision) const;

  /// Opens the list of checksums beside an image (NAME.rN.crc); no descriptor if there is none.
  [[nodiscard]] UniqueFd openChecksums(const ImageName& image) const;

  /// Where an image lies, or would lie. `image` must have a valid name and revision.
  [[nodiscard]] std::filesystem::path pathOf(const ImageName& image) const;

  struct Entry {
    ImageName image;
    std::uint64_t size = 0;  ///< bytes of the file
  };
  /// Every image, sorted by name and revision. Walks the whole folder; what cannot be read is
  /// left out.
  [[nodiscard]] std::vector<Entry> list() const;

 private:
  using FolderIdentity = std::pair<std::uint64_t, std::uint64_t>;  // device, inode

  [[nodiscard]] std::optional<ServedImage> openRevision(const ImageName& image) const;
  [[nodiscard]] std::vector<std::uint16_t> revisionsOf(const std::string& name) const;
  [[nodiscard]] UniqueFd openInside(const std::filesystem::path& path) const;
  [[nodiscard]] std::optional<std::filesystem::path> resolveInside(
      const std::filesystem::path& path, std::error_code& error) const;
  void listInto(const std::filesystem::path& directory, std::set<FolderIdentity>& visited,
                std::vector<Entry>& entries) const;

  std::filesystem::path folder_;
};

}  // namespace netcow
