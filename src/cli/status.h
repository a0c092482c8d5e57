// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace netcow {

/// `netcow status`: tells how a mount, or the uploads of a session, go on.
int statusCommand(int argc, char** argv);

}  // namespace netcow
