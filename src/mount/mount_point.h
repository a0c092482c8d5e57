// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace netcow {

/// The folder an image is mounted on, as the rest of the system sees it.
class MountPoint {
 public:
  /// Throws UserError unless `path` is a folder that can be mounted on.
  explicit MountPoint(std::string path);

  [[nodiscard]] const std::string& path() const { return path_; }

  // What follows asks the mounted file system, so it must be served meanwhile.

  /// Remembers which mount is ours, once it is there. Waits until the kernel has agreed on the
  /// connection.
  void recognise();

  /// Makes the kernel read further ahead than it does for any FUSE mount by itself; only root
  /// may, for others nothing happens.
  void readAhead(std::uint64_t bytes) const;

  /// Ends the mount as umount(8) does: false if it is in use. Waits until everything that was
  /// written through the page cache or a memory map has arrived.
  [[nodiscard]] bool unmount() const;

  /// Writes back what programs changed through memory maps, which unmounting by force would lose.
  void syncFile(const std::string& name) const;

 private:
  const std::string path_;
  dev_t device_ = 0;
};

}  // namespace netcow
