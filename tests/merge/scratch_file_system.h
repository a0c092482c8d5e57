// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "merge/test_files.h"
#include "support/temporary_directory.h"

namespace netcow::test {

/// A file system of a kind ("xfs", "btrfs", "ext4") in a sparse file, mounted while it lives. Needs
/// root, loop devices, and the kind's mkfs.
class ScratchFileSystem {
 public:
  /// Why there can be none here; empty if there can.
  static std::string missing(const std::string& kind) {
    if (::geteuid() != 0) {
      return "only root can mount file systems";
    }
    return std::system(("command -v mkfs." + kind + " >/dev/null").c_str()) == 0
               ? ""
               : "mkfs." + kind + " is not installed";
  }

  explicit ScratchFileSystem(const std::string& kind, const std::string& mkfsOptions = "") {
    setFileSize(image_, std::uint64_t{2} << 30U);
    std::filesystem::create_directory(folder_);
    run("mkfs." + kind + " -q " + mkfsOptions + (kind == "ext4" ? " -F " : " ") + image_);
    run("mount -o loop " + image_ + " " + folder_);
  }
  ~ScratchFileSystem() { ::umount2(folder_.c_str(), MNT_DETACH); }
  ScratchFileSystem(const ScratchFileSystem&) = delete;
  ScratchFileSystem& operator=(const ScratchFileSystem&) = delete;

  [[nodiscard]] std::string operator/(const std::string& name) const {
    return folder_ + "/" + name;
  }
  /// Has everything written back.
  void sync() const {
    const UniqueFd fd(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (::syncfs(fd.get()) != 0) {
      throw std::runtime_error("cannot sync " + folder_);
    }
  }
  /// Bytes in use: the only measure that counts shared space once.
  [[nodiscard]] std::uint64_t usedBytes() const {
    sync();
    struct statvfs status = {};
    if (::statvfs(folder_.c_str(), &status) != 0) {
      throw std::runtime_error("cannot ask " + folder_);
    }
    return (status.f_blocks - status.f_bfree) * status.f_frsize;
  }

 private:
  static void run(const std::string& command) {
    if (std::system((command + " >/dev/null").c_str()) != 0) {
      throw std::runtime_error(command + " failed");
    }
  }

  TemporaryDirectory temporary_;
  const std::string image_ = temporary_ / "disk";
  const std::string folder_ = temporary_ / "mounted";
};

}  // namespace netcow::test
