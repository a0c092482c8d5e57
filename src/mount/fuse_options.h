// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace netcow {

/// What the kernel is told about the size and number of its requests, in bytes.
struct ConnectionLimits {
  unsigned maxWrite = 1U << 20U;
  unsigned maxBackground = 128;          ///< requests under way at once that nobody waits for
  std::optional<unsigned> maxReadahead;  ///< nothing: as much as helps
  std::optional<unsigned> maxRead;       ///< nothing: no limit of its own
};

/// Mount options (-o) taken apart: scripts give those of libfuse 2 still, which libfuse 3 refuses
/// or must be told in another place.
struct FuseOptions {
  ConnectionLimits limits;
  std::vector<std::string> passedOn;  ///< for libfuse and the kernel, one each
  std::vector<std::string> ignored;   ///< of libfuse 2, without effect now: worth a warning
};

/// Splits what each -o gave at its commas (a backslash keeps one) and sorts it. Throws UserError
/// (usage) for a number that is none.
FuseOptions parseFuseOptions(const std::vector<std::string>& given);

}  // namespace netcow
