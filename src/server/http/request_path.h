// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace netcow {

/// The path of a request as it is matched: without scheme, host and query, percent-decoded, in
/// lower case, each run of '/' as one, and without the prefix "/cow". Nothing if it holds a bad
/// escape.
std::optional<std::string> canonicalPath(const std::string& target);

/// What follows the '?' of a target; empty without one. `target` must outlive it.
std::string_view queryOf(const std::string& target);

}  // namespace netcow
