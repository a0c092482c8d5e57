// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "session/origin.h"
#include "session/session.h"

namespace netcow {

/// Refuses a base that the session cannot have been made from, by what is known without reading
/// it: its size; and its revision, where the file is called NAME.rN, unless it is the very file
/// that was mounted. `origin` is the session's. Throws UserError.
void checkBaseFits(const std::string& base, const Session& session,
                   const std::optional<Origin>& origin);

/// How much of a base is compared with the list of checksums beside it.
enum class VerifyBase {
  none,
  sample,  ///< its beginning, its end and places between: at most 256 MiB, whatever its size
  all,
};

struct BaseVerification {
  bool hasList = false;       ///< there is a list of checksums beside the base
  std::uint64_t checked = 0;  ///< of its checksums
  std::uint64_t all = 0;      ///< that it has
};

/// Compares a base with the list of checksums beside it (BASE.crc), if there is one. Throws
/// UserError for a base that differs and for a list that does not fit it or is not sound;
/// std::system_error, with ECANCELED soon after `cancel` was set.
BaseVerification verifyBase(const std::string& base, VerifyBase how,
                            const std::atomic<bool>& cancel);

}  // namespace netcow
