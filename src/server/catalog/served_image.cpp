// SPDX-License-Identifier: Apache-2.0
#include "server/catalog/served_image.h"

#include <fcntl.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/errors.h"
#include "base/whole_io.h"
#include "format/geometry.h"

namespace netcow {
namespace {

// Reading ahead brings in at least 128 KiB at once, unless the administrator made it less.
constexpr std::uint64_t kLookEvery = std::uint64_t{64} << 10U;

ssize_t readCached(int fd, std::span<std::byte> buffer, std::uint64_t offset) {
  const iovec into = {buffer.data(), buffer.size()};
  return ::preadv2(fd, &into, 1, static_cast<off_t>(offset), RWF_NOWAIT);
}

std::error_code readOnlyCached(int fd, std::span<std::byte> buffer, std::uint64_t offset) {
  while (!buffer.empty()) {
    const ssize_t got = readCached(fd, buffer, offset);
    if (got == 0) {  // the file is shorter by now
      std::ranges::fill(buffer, std::byte{0});
      return {};
    }
    if (got < 0 && errno == EOPNOTSUPP) {  // a file system that cannot tell
      return make_error_code(std::errc::operation_would_block);
    }
    if (got < 0 && errno != EINTR) {
      return errnoCode(errno);
    }
    const auto length = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    buffer = buffer.subspan(length);
    offset += length;
  }
  return {};
}

}  // namespace

ServedImage::ServedImage(ImageName image, UniqueFd fd, std::uint64_t size)
    : image_(std::move(image)), fd_(std::move(fd)), size_(size) {}

std::uint64_t ServedImage::servedSize() const {
  return roundUp(size_, kBlockSize);
}

std::error_code ServedImage::read(std::span<std::byte> buffer, std::uint64_t offset,
                                  DiskAccess access) const {
  // A file that grew since keeps its old size here, or clients would disagree about its tail.
  const std::uint64_t real = offset < size_ ? size_ - offset : 0;
  const auto inside = static_cast<std::size_t>(std::min<std::uint64_t>(real, buffer.size()));
  const auto error = access == DiskAccess::mayWait
                         ? preadOrZeros(fd_.get(), buffer.first(inside), offset)
                         : readOnlyCached(fd_.get(), buffer.first(inside), offset);
  if (!error) {
    std::ranges::fill(buffer.subspan(inside), std::byte{0});
  }
  return error;
}

bool ServedImage::isCached(std::uint64_t offset, std::uint64_t length) const {
  const std::uint64_t end = std::min(offset + length, size_);
  std::byte one;
  for (std::uint64_t at = offset; at < end; at += kLookEvery) {
    if (readCached(fd_.get(), {&one, 1}, at) < 0) {
      return false;
    }
  }
  return offset >= end || readCached(fd_.get(), {&one, 1}, end - 1) >= 0;
}

void ServedImage::willNeed(std::uint64_t offset, std::uint64_t length) const {
  // Only advice: there is nothing to do when it fails.
  static_cast<void>(::posix_fadvise(fd_.get(), static_cast<off_t>(offset),
                                    static_cast<off_t>(length), POSIX_FADV_WILLNEED));
}

}  // namespace netcow
