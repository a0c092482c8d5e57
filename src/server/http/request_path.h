// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace netcow {

/// The path of a request as it is matched: without its query, percent-decoded, in lower case, each
/// run of '/' as one, and without the prefix "/cow". Nothing if it holds a bad escape.
std::optional<std::string> canonicalPath(const std::string& target);

}  // namespace netcow
