// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace netcow {

/// `netcow mount`, and netcow under the name dnbd3-fuse: mounts until unmounted or told to end,
/// uploads the rest, and merges if asked. `arguments` without the program's name. Returns the exit
/// status; prints errors itself.
int mountCommand(const std::vector<std::string>& arguments);

}  // namespace netcow
