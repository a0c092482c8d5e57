// SPDX-License-Identifier: Apache-2.0
#include "server/full_disk.h"

#include <linux/fs.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace netcow::test {
namespace {

std::atomic<FullDisk*> current = nullptr;

FullDisk* diskOf(int fd) {
  FullDisk* const disk = current;
  return disk != nullptr && disk->holds(fd) ? disk : nullptr;
}

/// `write` does the real thing with a length.
template <class Write>
ssize_t writeWithin(int fd, std::size_t length, Write write) {
  FullDisk* const disk = diskOf(fd);
  const std::size_t allowed = disk != nullptr ? disk->take(length) : length;
  if (allowed == 0 && length > 0) {
    errno = ENOSPC;
    return -1;
  }
  return write(allowed);
}

}  // namespace

FullDisk::FullDisk(std::filesystem::path folder, std::uint64_t room)
    : folder_(std::move(folder)), room_(room) {
  current = this;
}

FullDisk::~FullDisk() {
  current = nullptr;
}

bool FullDisk::holds(int fd) const {
  std::error_code ignored;
  const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored);
  return path.native().starts_with(folder_.native() + "/");
}

std::size_t FullDisk::take(std::size_t length) {
  const std::size_t allowed = std::min<std::uint64_t>(length, room_);
  room_ -= allowed;
  wasFull_ = wasFull_ || allowed < length;
  return allowed;
}

}  // namespace netcow::test

// The names that the linker gives to what --wrap replaces.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" {

ssize_t __real_pwrite(int fd, const void* bytes, std::size_t length, off_t offset);
ssize_t __real_copy_file_range(int in, off_t* inOffset, int out, off_t* outOffset,
                               std::size_t length, unsigned int flags);
int __real_ioctl(int fd, unsigned long request, void* argument);

ssize_t __wrap_pwrite(int fd, const void* bytes, std::size_t length, off_t offset) {
  return netcow::test::writeWithin(
      fd, length, [=](std::size_t allowed) { return __real_pwrite(fd, bytes, allowed, offset); });
}

ssize_t __wrap_copy_file_range(int in, off_t* inOffset, int out, off_t* outOffset,
                               std::size_t length, unsigned int flags) {
  return netcow::test::writeWithin(out, length, [=](std::size_t allowed) {
    return __real_copy_file_range(in, inOffset, out, outOffset, allowed, flags);
  });
}

int __wrap_ioctl(int fd, unsigned long request, void* argument) {
  if ((request == FICLONE || request == FICLONERANGE) && netcow::test::diskOf(fd) != nullptr) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return __real_ioctl(fd, request, argument);
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
