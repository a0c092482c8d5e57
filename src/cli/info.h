// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace netcow {

/// `netcow info SESSION [--json]`: tells what a session holds, without changing it, also while it
/// is in use. argv[0] is the name for messages. Prints, and returns the exit status.
int infoCommand(int argc, char** argv);

}  // namespace netcow
