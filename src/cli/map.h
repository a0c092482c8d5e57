// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace netcow {

/// `netcow map`. Returns the exit status.
int mapCommand(int argc, char** argv);

}  // namespace netcow
