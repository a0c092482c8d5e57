// SPDX-License-Identifier: Apache-2.0
#include "mount/mount_point.h"

#include <fcntl.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/errors.h"
#include "base/unique_fd.h"

namespace netcow {
namespace {

/// umount for those who are not root, by the helper that comes with libfuse.
void unmountByHelper(const std::string& path) {
  std::array<std::string, 5> words = {"fusermount3", "-u", "-q", "--", path};
  std::array<char*, 6> arguments = {};
  for (std::size_t i = 0; i < words.size(); ++i) {
    arguments.at(i) = words.at(i).data();
  }
  pid_t child = 0;
  if (::posix_spawnp(&child, words[0].c_str(), nullptr, nullptr, arguments.data(), environ) != 0) {
    return;
  }
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

MountPoint::MountPoint(std::string path) : path_(std::move(path)) {
  struct stat attributes = {};
  if (::stat(path_.c_str(), &attributes) < 0) {
    if (errno == ENOENT) {
      throw UserError("mountpoint " + path_ + " does not exist: make it with mkdir -p " + path_);
    }
    if (errno == ENOTCONN) {
      throw UserError("mountpoint " + path_ +
                      " is still held by a mount whose program has died: free it with "
                      "fusermount3 -u " +
                      path_);
    }
    throw UserError("cannot look at mountpoint " + path_ + ": " + std::strerror(errno));
  }
  if (!S_ISDIR(attributes.st_mode)) {
    throw UserError("mountpoint " + path_ + " is not a folder: name one");
  }
}

void MountPoint::recognise() {
  struct stat attributes = {};
  if (::stat(path_.c_str(), &attributes) == 0) {
    device_ = attributes.st_dev;
  }
}

bool MountPoint::isOurs() const {
  if (!device_) {
    return true;
  }
  struct statx attributes = {};
  return ::statx(AT_FDCWD, path_.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE, &attributes) == 0 &&
         makedev(attributes.stx_dev_major, attributes.stx_dev_minor) == *device_;
}

void MountPoint::readAhead(std::uint64_t bytes) const {
  const dev_t device = device_.value_or(0);
  const std::string setting = "/sys/class/bdi/" + std::to_string(major(device)) + ":" +
                              std::to_string(minor(device)) + "/read_ahead_kb";
  const UniqueFd fd(::open(setting.c_str(), O_WRONLY | O_CLOEXEC));
  const std::string value = std::to_string(bytes / 1024);
  if (!fd || ::write(fd.get(), value.c_str(), value.size()) < 0) {
    spdlog::debug("the read-ahead of {} stays as it is: {}: {}", path_, setting,
                  std::strerror(errno));
  }
}

void MountPoint::unmount() const {
  if (isOurs() && ::umount2(path_.c_str(), UMOUNT_NOFOLLOW) != 0 && errno == EPERM) {
    unmountByHelper(path_);
  }
}

}  // namespace netcow
