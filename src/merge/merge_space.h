// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "merge/merge.h"

namespace netcow {

/// What a merge takes on the disk, and what there is, in bytes.
struct MergeSpace {
  std::uint64_t needed = 0;  ///< at most; for content: the file system's own books come on top
  std::uint64_t free = 0;    ///< beyond the request's reservedBytes
  [[nodiscard]] bool fits() const { return needed <= free; }
  /// For people: what is missing, where, and what to do.
  [[nodiscard]] std::string explain(const MergeRequest& request) const;
};

/// Looks whether the new image will fit: what can be shared needs no space. Throws
/// std::system_error when base or folder cannot be read.
MergeSpace spaceForMerge(const Session& session, const MergeRequest& request);

}  // namespace netcow
