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
#include <utility>

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

/// Why a list cannot be about the image as it is now, by times and lengths; empty if it can.
std::string whyUnfit(int list, const ServedImage& image) {
  const auto ofList = statusOf(list);
  const auto ofImage = statusOf(image.fd());
  const std::uint64_t needed = ChecksumList::bytesFor(image.servedSize());
  if (!ofList || !ofImage || !S_ISREG(ofList->st_mode)) {
    return "it is no file that can be read";
  }
  if (isOlder(ofList->st_mtim, ofImage->st_mtim)) {
    return "it is older than the image";
  }
  if (static_cast<std::uint64_t>(ofList->st_size) != needed) {
    return "it has " + std::to_string(ofList->st_size) + " bytes, and the image needs one of " +
           std::to_string(needed);
  }
  return "";
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

std::vector<ChecksumLists::Found> ChecksumLists::open(const ImageName& image) const {
  std::vector<Found> found;
  found.push_back({besidePath(image), catalog_.openChecksums(image)});
  const fs::path own = ownPath(image);
  found.push_back({own, UniqueFd(::open(own.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW))});
  std::erase_if(found, [](const Found& list) { return !list.fd; });
  return found;
}

/// Whether its name leads to another file by now, or to none.
bool ChecksumLists::isReplaced(const ServedImage& image) const {
  struct stat named = {};
  const auto held = statusOf(image.fd());
  return !held || ::stat(catalog_.pathOf(image.image()).c_str(), &named) != 0 ||
         named.st_dev != held->st_dev || named.st_ino != held->st_ino;
}

bool ChecksumLists::has(const ServedImage& image) const {
  const auto lists = open(image.image());
  return !isReplaced(image) && std::ranges::any_of(lists, [&](const Found& list) {
    return !isStale(list) && whyUnfit(list.fd.get(), image).empty();
  });
}

/// Whether its image changed since, although its times do not tell.
bool ChecksumLists::isStale(const Found& list) const {
  const auto status = statusOf(list.fd.get());
  const MutexLock lock(mutex_);
  const auto stale = stale_.find(list.path.string());
  return stale != stale_.end() && status && stale->second == fileStateFrom(*status);
}

std::vector<std::byte> ChecksumLists::read(const ServedImage& image) const {
  const auto lists = open(image.image());
  if (isReplaced(image)) {
    return {};
  }
  for (const Found& found : lists) {
    if (isStale(found)) {
      continue;
    }
    std::string why = whyUnfit(found.fd.get(), image);
    if (why.empty()) {
      std::vector<std::byte> list(ChecksumList::bytesFor(image.servedSize()));
      if (!preadOrZeros(found.fd.get(), list, 0) && ChecksumList::parse(list)) {
        return list;
      }
      why = "it is damaged";
    }
    tellOnce(found, why);
  }
  return {};
}

/// Clients ask as often as they like.
void ChecksumLists::tellOnce(const Found& list, const std::string& why) const {
  const auto status = statusOf(list.fd.get());
  const FileState state = status ? fileStateFrom(*status) : FileState{};
  {
    const MutexLock lock(mutex_);
    const auto [told, isNew] = told_.emplace(list.path.string(), state);
    if (!isNew && std::exchange(told->second, state) == state) {
      return;
    }
  }
  spdlog::warn("the list of checksums {} is not served: {}", list.path.string(), why);
}

std::vector<FileState> ChecksumLists::states(const ImageName& image) const {
  std::vector<FileState> states;
  for (const Found& list : open(image)) {
    if (const auto status = statusOf(list.fd.get())) {
      states.push_back(fileStateFrom(*status));
    }
  }
  return states;
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

void ChecksumLists::removeThoseOf(const ImageName& image,
                                  const std::vector<FileState>& before) const {
  for (const Found& list : open(image)) {
    const auto status = statusOf(list.fd.get());
    if (!status || std::ranges::find(before, fileStateFrom(*status)) == before.end()) {
      continue;
    }
    const bool removed = ::unlink(list.path.c_str()) == 0;
    spdlog::warn("the list of checksums {} is {}: the image changed since", list.path.string(),
                 removed ? "removed" : "not served any more");
    const MutexLock lock(mutex_);
    stale_[list.path.string()] = fileStateFrom(*status);
  }
}

}  // namespace netcow
