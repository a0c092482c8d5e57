// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

struct stat;

namespace netcow {

/// Of a file, what tells that it was changed or replaced.
struct FileState {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;  ///< bytes
  std::int64_t modifiedSeconds = 0;
  std::int64_t modifiedNanoseconds = 0;
  bool operator==(const FileState&) const = default;
};

FileState fileStateFrom(const struct stat& status);

}  // namespace netcow
