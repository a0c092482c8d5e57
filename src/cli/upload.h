// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace netcow {

/// `netcow upload SESSION`: sends what is still dirty, and merges if asked, without mounting.
/// argv[0] is the name for messages. Prints, and returns the exit status.
int uploadCommand(int argc, char** argv);

}  // namespace netcow
