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

/// Bytes [begin, end) of a file.
struct FileRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  [[nodiscard]] std::uint64_t length() const { return end - begin; }
  [[nodiscard]] bool empty() const { return begin == end; }
};

/// Throws std::system_error with ECANCELED once `cancel` is set.
void throwIfCancelled(const std::atomic<bool>& cancel);

/// Lets `to` share the whole content of `from`, which costs neither time nor space, and takes
/// over its size. False where the file system cannot do that; `to` is then as before.
bool shareContent(const NamedFd& from, const NamedFd& to);

/// Lets `to` share a range of `from`, at `offset` of `to`. 0, or why not as an errno value (EINVAL
/// where blocks of the file system do not fit the range); `to` is then as before.
int shareRange(const NamedFd& from, const FileRange& range, const NamedFd& to,
               std::uint64_t offset);

/// The first part of `range` that is no hole; empty and at the end of `range` when nothing but
/// holes follows. All of `range` where holes cannot be asked for.
FileRange nextData(const NamedFd& file, const FileRange& range);

/// Copies the first `length` bytes of `from` to the same place in `to`, which must be empty;
/// holes stay holes, also at the end (set the size of `to` afterwards). Throws std::system_error
/// (ECANCELED soon after `cancel` was set), or UserError when `from` is shorter than `length`.
void copyContent(const NamedFd& from, const NamedFd& to, std::uint64_t length,
                 const std::atomic<bool>& cancel);

}  // namespace netcow
