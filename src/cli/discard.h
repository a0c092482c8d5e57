// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace netcow {

/// `netcow discard`: throws a session away, and its upload on the server. Returns the exit status.
int discardCommand(int argc, char** argv);

}  // namespace netcow
