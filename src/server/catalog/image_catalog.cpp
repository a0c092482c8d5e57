// SPDX-License-Identifier: Apache-2.0
#include "server/catalog/image_catalog.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <tuple>

#include "base/errors.h"
#include "format/geometry.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;

bool isHidden(const fs::path& path) {
  return path.filename().native().starts_with('.');
}

/// Errors that mean "there is no such file" to somebody who asks for a name.
bool meansMissing(int error) {
  return error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG || error == ELOOP;
}

bool mayBeImage(const struct stat& status) {
  return S_ISREG(status.st_mode) && status.st_size > 0 &&
         static_cast<std::uint64_t>(status.st_size) <= kLargestImageSize;
}

}  // namespace

ImageCatalog::ImageCatalog(const std::string& folder) {
  std::error_code error;
  folder_ = fs::canonical(folder, error);
  if (!error) {
    fs::directory_iterator(folder_, error);
  }
  if (error) {
    throw UserError("cannot read the folder of images " + folder + ": " + error.message() +
                    "; name a folder that exists with --images");
  }
}

std::optional<ServedImage> ImageCatalog::open(const std::string& name,
                                              std::uint16_t revision) const {
  if (!isValidImageName(name)) {
    return std::nullopt;
  }
  if (revision != 0) {
    return openRevision({name, revision});
  }
  for (const std::uint16_t candidate : revisionsOf(name)) {
    if (auto file = openRevision({name, candidate})) {
      return file;
    }
  }
  return std::nullopt;
}

std::optional<ServedImage> ImageCatalog::openRevision(const ImageName& image) const {
  UniqueFd fd = openInside(pathOf(image));
  if (!fd) {
    return std::nullopt;
  }
  struct stat status = {};
  if (::fstat(fd.get(), &status) != 0) {
    throwErrno("cannot look at " + pathOf(image).string());
  }
  if (!mayBeImage(status)) {
    return std::nullopt;
  }
  return ServedImage(image, std::move(fd), static_cast<std::uint64_t>(status.st_size));
}

UniqueFd ImageCatalog::openChecksums(const ImageName& image) const {
  return openInside(pathOf(image).native() + ".crc");
}

fs::path ImageCatalog::pathOf(const ImageName& image) const {
  return folder_ / image.fileName();
}

std::vector<ImageCatalog::Entry> ImageCatalog::list() const {
  std::vector<Entry> entries;
  std::set<FolderIdentity> visited;
  listInto(folder_, visited, entries);
  std::ranges::sort(entries, [](const Entry& left, const Entry& right) {
    return std::tie(left.image.name, left.image.revision) <
           std::tie(right.image.name, right.image.revision);
  });
  return entries;
}

/// The revisions that a name may have, the highest first.
std::vector<std::uint16_t> ImageCatalog::revisionsOf(const std::string& name) const {
  const fs::path stem = folder_ / name;
  std::vector<std::uint16_t> revisions;
  std::error_code error;
  if (!resolveInside(stem.parent_path(), error)) {
    return revisions;
  }
  for (fs::directory_iterator entry(stem.parent_path(), error), end; !error && entry != end;
       entry.increment(error)) {
    const auto parsed = parseImageFileName(entry->path().filename().native());
    if (parsed && parsed->name == stem.filename().native()) {
      revisions.push_back(parsed->revision);
    }
  }
  std::ranges::sort(revisions, std::greater<>());
  return revisions;
}

/// The real path of what `path` leads to; nothing if that lies outside the folder, is missing
/// (neither is an `error`) or cannot be reached.
std::optional<fs::path> ImageCatalog::resolveInside(const fs::path& path,
                                                    std::error_code& error) const {
  fs::path real = fs::canonical(path, error);
  if (error) {
    if (meansMissing(error.value())) {
      error.clear();
    }
    return std::nullopt;
  }
  if (std::ranges::mismatch(folder_, real).in1 != folder_.end()) {
    return std::nullopt;
  }
  return real;
}

UniqueFd ImageCatalog::openInside(const fs::path& path) const {
  std::error_code error;
  const auto real = resolveInside(path, error);
  if (error) {
    throwErrno(error.value(), "cannot look at " + path.string());
  }
  if (!real) {
    return {};
  }
  // Without O_NONBLOCK opening a named pipe would wait for its other end.
  UniqueFd fd(::open(real->c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && !meansMissing(errno)) {
    throwErrno("cannot open " + real->string());
  }
  return fd;
}

void ImageCatalog::listInto(const fs::path& directory, std::set<FolderIdentity>& visited,
                            std::vector<Entry>& entries) const {
  struct stat status = {};
  // A link to a folder further up would send the walk round in circles.
  if (::stat(directory.c_str(), &status) != 0 ||
      !visited.emplace(status.st_dev, status.st_ino).second) {
    return;
  }
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path& path = entry->path();
    std::error_code unreachable;
    if (isHidden(path) || !resolveInside(path, unreachable) || ::stat(path.c_str(), &status) != 0) {
      continue;
    }
    if (S_ISDIR(status.st_mode)) {
      listInto(path, visited, entries);
    } else if (const auto image = parseImageFileName(path.lexically_relative(folder_).native());
               image && mayBeImage(status)) {
      entries.push_back({*image, static_cast<std::uint64_t>(status.st_size)});
    }
  }
}

}  // namespace netcow
