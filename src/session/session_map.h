// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "session/file_system.h"

namespace netcow {

/// Where the content of a part of an image comes from.
enum class RangeKind {
  local,  ///< stored in the session
  zero,   ///< zeros, without anything stored
  base,   ///< read from the base
};

/// A range of the image, in bytes.
struct ImageRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  RangeKind kind = RangeKind::base;
};

/// Calls `visit` for the ranges of the whole image in ascending order; neighbours differ in kind.
/// A local block that is a hole in `data` counts as zero: it reads as zeros, and nothing is stored
/// for it. Looks only, also at a session that is in use; what it tells may then be a moment old.
/// The cost follows what is local, not the size of the image. Throws as loadSession().
void mapSession(Folder& folder, const std::function<void(const ImageRange&)>& visit);

}  // namespace netcow
