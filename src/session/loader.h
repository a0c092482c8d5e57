// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "session/block_map.h"
#include "session/file_system.h"
#include "session/live_file.h"

namespace netcow {

/// A session as its files tell it, checked.
struct LoadedSession {
  std::unique_ptr<File> meta;
  std::unique_ptr<File> data;
  MetaHeader header;  ///< `live`'s when that is trusted, else `meta`'s
  std::unique_ptr<BlockMap> map;
  LiveState live = LiveState::absent;
  std::string whyDropped;       ///< with LiveState::dropped
  std::uint64_t dataBytes = 0;  ///< length of `data`
};

enum class LoadFor {
  use,      ///< locks the session first; UserError with the holder's process id if it is in use
  reading,  ///< no lock, files read-only: a look that may be a moment old
};

/// Reads a session and checks magic, version, sizes, and that every index and offset is in range
/// and used once. Changes nothing. Throws UserError, one line for each way to be unsound.
LoadedSession loadSession(Folder& folder, LoadFor purpose, const Clock& clock);

}  // namespace netcow
