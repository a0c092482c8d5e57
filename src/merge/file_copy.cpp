// SPDX-License-Identifier: Apache-2.0
#include "merge/file_copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <vector>

#include "base/errors.h"
#include "base/whole_io.h"

namespace netcow {
namespace {

// What is copied before the next look at `cancel`: well below a second on any disk.
constexpr std::uint64_t kPart = std::uint64_t{8} << 20U;

/// Copies ranges, inside the kernel as long as it agrees to.
class Copier {
 public:
  Copier(const NamedFd& from, const NamedFd& to, const std::atomic<bool>& cancel)
      : from_(from), to_(to), cancel_(cancel) {}

  void copy(FileRange range) {
    while (range.begin < range.end) {
      throwIfCancelled(cancel_);
      const std::uint64_t part = std::min(kPart, range.end - range.begin);
      const std::uint64_t copied = inKernel_ ? copyInKernel(range.begin, part) : 0;
      if (copied == 0) {
        // Between some file systems the kernel does not copy; and if this is a real error, then
        // reading or writing says which.
        inKernel_ = false;
        copyThroughBuffer(range.begin, part);
      }
      range.begin += copied == 0 ? part : copied;
    }
  }

 private:
  [[nodiscard]] std::uint64_t copyInKernel(std::uint64_t offset, std::uint64_t length) const {
    auto in = static_cast<off_t>(offset);
    off_t out = in;
    const ssize_t copied = ::copy_file_range(from_.fd, &in, to_.fd, &out, length, 0);
    return copied > 0 ? static_cast<std::uint64_t>(copied) : 0;
  }

  void copyThroughBuffer(std::uint64_t offset, std::uint64_t length) {
    buffer_.resize(kPart);
    const auto part = std::span(buffer_).first(length);
    if (const auto error = preadOrZeros(from_.fd, part, offset)) {
      throwErrno(toErrno(error), "cannot read " + from_.path);
    }
    if (const auto error = pwriteAll(to_.fd, part, offset)) {
      throwErrno(toErrno(error), "cannot write " + to_.path);
    }
  }

  const NamedFd& from_;
  const NamedFd& to_;
  const std::atomic<bool>& cancel_;
  bool inKernel_ = true;
  std::vector<std::byte> buffer_;
};

void checkLength(const NamedFd& file, std::uint64_t length) {
  const off_t end = ::lseek(file.fd, 0, SEEK_END);
  if (end < 0) {
    throwErrno("cannot find the size of " + file.path);
  }
  if (static_cast<std::uint64_t>(end) < length) {
    throw UserError(file.path + " became shorter while it was being copied; try again when " +
                    "nothing writes to it");
  }
}

}  // namespace

void throwIfCancelled(const std::atomic<bool>& cancel) {
  if (cancel) {
    throwErrno(ECANCELED, "the merge was stopped");
  }
}

bool shareContent(const NamedFd& from, const NamedFd& to) {
  return ::ioctl(to.fd, FICLONE, from.fd) == 0;
}

int shareRange(const NamedFd& from, const FileRange& range, const NamedFd& to,
               std::uint64_t offset) {
  file_clone_range clone{};
  clone.src_fd = from.fd;
  clone.src_offset = range.begin;
  clone.src_length = range.length();
  clone.dest_offset = offset;
  return ::ioctl(to.fd, FICLONERANGE, &clone) == 0 ? 0 : errno;
}

FileRange nextData(const NamedFd& file, const FileRange& range) {
  const off_t data = ::lseek(file.fd, static_cast<off_t>(range.begin), SEEK_DATA);
  if (data < 0) {
    return errno == ENXIO ? FileRange{range.end, range.end} : range;
  }
  const auto begin = std::min(static_cast<std::uint64_t>(data), range.end);
  const off_t hole = ::lseek(file.fd, data, SEEK_HOLE);
  const auto end = hole < 0 ? range.end : std::min(static_cast<std::uint64_t>(hole), range.end);
  return {begin, std::max(begin, end)};
}

void copyContent(const NamedFd& from, const NamedFd& to, std::uint64_t length,
                 const std::atomic<bool>& cancel) {
  Copier copier(from, to, cancel);
  std::uint64_t offset = 0;
  while (offset < length) {
    throwIfCancelled(cancel);
    const FileRange data = nextData(from, {offset, length});
    copier.copy(data);
    offset = data.end;
  }
  // Reads behind the end give zeros, and a cut file ends in a "hole": neither may pass unnoticed.
  checkLength(from, length);
}

}  // namespace netcow
