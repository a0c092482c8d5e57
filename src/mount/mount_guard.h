// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include "base/unique_fd.h"

namespace netcow {

/// A process beside ours that sees to it that nobody waits for a mount whose process was killed.
///
/// The kernel lets go of a FUSE connection when the last thread that uses it has ended. One that is
/// just telling the kernel of changed pages may wait for a page that somebody is reading; the read
/// is answered by another thread of ours, which has been killed: both would wait for ever, and no
/// signal ends the first. The guard is told by the kernel that our main thread has died, and ends
/// the connection through /sys/fs/fuse/connections, which answers everybody. Where that is not
/// mounted and we are not root, or when the guard was killed with us, `umount -f` does the same.
///
/// To be made by the main thread, before there are others and while the process is still small: the
/// guard is a fork of it. It holds none of our files, ignores signals, and ends with us, or with
/// the MountGuard.
class MountGuard {
 public:
  /// Where no process can be made there is no guard, which is logged.
  MountGuard();
  MountGuard(const MountGuard&) = delete;
  MountGuard& operator=(const MountGuard&) = delete;

  /// Names the file system to guard; once, when it is mounted.
  void watch(dev_t device);

 private:
  UniqueFd socket_;  // the guard ends when it is closed
};

}  // namespace netcow
