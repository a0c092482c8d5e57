// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "session/loader.h"

namespace netcow {

/// Makes a session that was not closed one that was: writes the tables of `live` back to `meta`,
/// or drops `live`, as the loader judged; then removes it. A kill or a power cut on the way leaves
/// what the same again completes. Returns the line that says what was done; empty, and nothing
/// done, for a session that was closed. The caller holds the session's lock; `loaded` must be
/// sound, and is still what the session holds afterwards. Throws std::system_error.
std::string recoverSession(Folder& folder, LoadedSession& loaded, const Clock& clock);

}  // namespace netcow
