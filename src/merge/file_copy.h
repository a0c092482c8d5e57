// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace netcow {

/// An open file and what messages call it; the descriptor is somebody else's.
struct NamedFd {
  int fd = -1;
  std::string path;
};

/// Throws std::system_error with ECANCELED once `cancel` is set.
void throwIfCancelled(const std::atomic<bool>& cancel);

/// Lets `to` share the whole content of `from`, which costs neither time nor space, and takes
/// over its size. False where the file system cannot do that; `to` is then as before.
bool shareContent(const NamedFd& from, const NamedFd& to);

/// Copies the first `length` bytes of `from` to the same place in `to`, which must be empty;
/// holes stay holes, also at the end (set the size of `to` afterwards). Throws std::system_error
/// (ECANCELED soon after `cancel` was set), or UserError when `from` is shorter than `length`.
void copyContent(const NamedFd& from, const NamedFd& to, std::uint64_t length,
                 const std::atomic<bool>& cancel);

}  // namespace netcow
