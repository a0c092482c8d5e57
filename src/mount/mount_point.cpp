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
bool unmountByHelper(const std::string& path) {
  std::array<std::string, 5> words = {"fusermount3", "-u", "-q", "--", path};
  std::array<char*, 6> arguments = {};
  for (std::size_t i = 0; i < words.size(); ++i) {
    arguments.at(i) = words.at(i).data();
  }
  pid_t child = 0;
  if (::posix_spawnp(&child, words[0].c_str(), nullptr, nullptr, arguments.data(), environ) != 0) {
    return false;
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) {
      return false;
    }
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
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

void MountPoint::readAhead(std::uint64_t bytes) const {
  const std::string setting = "/sys/class/bdi/" + std::to_string(major(device_)) + ":" +
                              std::to_string(minor(device_)) + "/read_ahead_kb";
  const UniqueFd fd(::open(setting.c_str(), O_WRONLY | O_CLOEXEC));
  const std::string value = std::to_string(bytes / 1024);
  if (!fd || ::write(fd.get(), value.c_str(), value.size()) < 0) {
    spdlog::debug("the read-ahead of {} stays as it is: {}: {}", path_, setting,
                  std::strerror(errno));
  }
}

bool MountPoint::unmount() const {
  struct stat attributes = {};
  if (::stat(path_.c_str(), &attributes) < 0 || attributes.st_dev != device_) {
    return false;  // something else is mounted over it, which is not ours to remove
  }
  if (::umount2(path_.c_str(), UMOUNT_NOFOLLOW) == 0) {
    return true;
  }
  return errno == EPERM && unmountByHelper(path_);
}

void MountPoint::syncFile(const std::string& name) const {
  const UniqueFd fd(::open((path_ + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
  if (fd && ::fsync(fd.get()) < 0) {
    spdlog::warn("cannot write back what programs changed in {}/{}: {}", path_, name,
                 std::strerror(errno));
  }
}

}  // namespace netcow
