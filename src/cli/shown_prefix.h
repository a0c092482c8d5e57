// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace netcow {

/// The upload server as it was given, but for user name and password: what is shown may end up in a
/// report for others.
std::string shownPrefix(const std::string& prefix);

}  // namespace netcow
