// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace netcow {

/// `netcow merge SESSION --base FILE --output FILE`: makes the new image that the upload service
/// would make, without a server. argv[0] is the name for messages. Prints, and returns the exit
/// status.
int mergeCommand(int argc, char** argv);

}  // namespace netcow
