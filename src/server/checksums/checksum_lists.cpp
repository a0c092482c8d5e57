// SPDX-License-Identifier: Apache-2.0
#include "server/checksums/checksum_lists.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <tuple>

#include "base/errors.h"
#include "base/logging.h"
#include "base/whole_io.h"
#include "format/checksum_list.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;

bool isOlder(const timespec& left, const timespec& right) {
  return std::tie(left.tv_sec, left.tv_nsec) < std::tie(right.tv_sec, right.tv_nsec);
}

std::optional<struct stat> statusOf(int fd) {
  struct stat status = {};
  return ::fstat(fd, &status) == 0 ? std::optional(status) : std::nullopt;
}

/// Whether a list may be about the image as it is now, and has the length that it needs.
bool fits(int list, const ServedImage& image) {
  const auto ofList = statusOf(list);
  const auto ofImage = statusOf(image.fd());
  return ofList && ofImage && S_ISREG(ofList->st_mode) &&
         !isOlder(ofList->st_mtim, ofImage->st_mtim) &&
         static_cast<std::uint64_t>(ofList->st_size) == ChecksumList::bytesFor(image.servedSize());
}

/// Errors that mean that a folder cannot be written, whoever tries again.
bool meansNotWritable(const std::error_code& error) {
  return error.value() == EACCES || error.value() == EPERM || error.value() == EROFS;
}

/// Never older than the image, or it would not count: the image's time may lie in the future.
void setTime(int list, const ServedImage& image) {
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const auto ofImage = statusOf(image.fd());
  const timespec modified = ofImage && isOlder(now, ofImage->st_mtim) ? ofImage->st_mtim : now;
  const timespec times[2] = {modified, modified};
  if (::futimens(list, times) != 0) {
    throwErrno("cannot set the time of a list of checksums");
  }
}

void writeList(const fs::path& path, const ServedImage& image, std::span<const std::byte> list) {
  // Hidden: no image, and no list of one, while it is not whole.
  const fs::path unfinished = path.parent_path() / ("." + path.filename().string() + ".new");
  const UniqueFd fd(
      ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) {
    throwErrno("cannot make " + unfinished.string());
  }
  auto error = pwriteAll(fd.get(), list, 0);
  if (!error && ::fsync(fd.get()) != 0) {
    error = errnoCode(errno);
  }
  if (error) {
    ::unlink(unfinished.c_str());
    throw std::system_error(error, "cannot write " + unfinished.string());
  }
  setTime(fd.get(), image);
  if (::rename(unfinished.c_str(), path.c_str()) != 0) {
    throwErrno("cannot give " + unfinished.string() + " its name");
  }
}

}  // namespace

fs::path ChecksumLists::besidePath(const ImageName& image) const {
  return catalog_.pathOf(image).native() + ".crc";
}

fs::path ChecksumLists::ownPath(const ImageName& image) const {
  return ownFolder_ / (image.fileName() + ".crc");
}

std::vector<UniqueFd> ChecksumLists::open(const ImageName& image) const {
  std::vector<UniqueFd> found;
  found.push_back(catalog_.openChecksums(image));
  found.emplace_back(::open(ownPath(image).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::erase_if(found, [](const UniqueFd& fd) { return !fd; });
  return found;
}

bool ChecksumLists::has(const ServedImage& image) const {
  const auto lists = open(image.image());
  return std::ranges::any_of(lists, [&](const UniqueFd& fd) { return fits(fd.get(), image); });
}

std::vector<std::byte> ChecksumLists::read(const ServedImage& image) const {
  for (const UniqueFd& fd : open(image.image())) {
    if (!fits(fd.get(), image)) {
      continue;
    }
    std::vector<std::byte> list(ChecksumList::bytesFor(image.servedSize()));
    if (!preadOrZeros(fd.get(), list, 0) && ChecksumList::parse(list)) {
      return list;
    }
    spdlog::warn("the list of checksums of {} is damaged; it is not served",
                 image.image().fileName());
  }
  return {};
}

void ChecksumLists::publish(const ServedImage& image, std::span<const std::byte> list) {
  try {
    writeList(besidePath(image.image()), image, list);
    return;
  } catch (const std::system_error& error) {
    if (!meansNotWritable(error.code())) {
      throw;
    }
    if (!toldOfOwnFolder_.exchange(true)) {
      spdlog::warn("{}; such lists of checksums are kept in {}", error.what(), ownFolder_.string());
    }
  }
  const fs::path own = ownPath(image.image());
  fs::create_directories(own.parent_path());
  writeList(own, image, list);
}

void ChecksumLists::remove(const ImageName& image) const {
  ::unlink(besidePath(image).c_str());
  ::unlink(ownPath(image).c_str());
}

}  // namespace netcow
