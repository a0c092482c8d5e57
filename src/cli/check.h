// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace netcow {

/// `netcow check`. Returns the exit status.
int checkCommand(int argc, char** argv);

}  // namespace netcow
