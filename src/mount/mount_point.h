// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace netcow {

/// The folder an image is mounted on, as the rest of the system sees it.
class MountPoint {
 public:
  /// Throws UserError unless `path` is a folder that can be mounted on.
  explicit MountPoint(std::string path);

  [[nodiscard]] const std::string& path() const { return path_; }

  /// Remembers which mount is ours, once it is there and served. Waits until the kernel has agreed
  /// on the connection.
  void recognise();

  /// The mounted file system's; none before recognise().
  [[nodiscard]] std::optional<dev_t> device() const { return device_; }

  /// Whether the path leads to our mount, or recognise() was not reached: not when it was detached,
  /// or something else is mounted over it. Asks nothing of the mounted file system.
  [[nodiscard]] bool isOurs() const;

  /// Makes the kernel read further ahead than it does for any FUSE mount by itself; only root
  /// may, for others nothing happens.
  void readAhead(std::uint64_t bytes) const;

  /// Ends the mount as umount(8) does, unless it is in use or not ours. Waits until everything that
  /// was written through the page cache or a memory map has arrived, so it must be served
  /// meanwhile.
  void unmount() const;

 private:
  const std::string path_;
  std::optional<dev_t> device_;
};

}  // namespace netcow
