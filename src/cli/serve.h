// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace netcow {

/// `netcow serve`: exports a folder of images and takes uploads until SIGTERM or SIGINT. `argv[0]`
/// is "netcow serve". Returns the exit status (ExitStatus); prints errors as one line.
int serveCommand(int argc, char** argv);

}  // namespace netcow
