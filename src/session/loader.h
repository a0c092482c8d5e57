// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "session/block_map.h"
#include "session/file_system.h"
#include "session/finding.h"
#include "session/live_file.h"

namespace netcow {

/// A session as its files tell it.
struct LoadedSession {
  std::unique_ptr<File> meta;
  std::unique_ptr<File> data;
  MetaHeader header;              ///< `live`'s when that is trusted, else `meta`'s; counted anew
  MetaHeader headerAsRead;        ///< `meta`'s, as it is on the disk
  std::unique_ptr<BlockMap> map;  ///< null when the search ended before there was one
  std::vector<bool> fromLive;     ///< by number of the table: it was read from `live`
  std::vector<std::uint64_t> zeroOffsets;  ///< numbers of tables of `meta` with an offset of 0
  std::vector<std::uint64_t> places;       ///< of clusters in `data`, ascending
  LiveState live = LiveState::absent;
  std::string whyDropped;       ///< with LiveState::dropped
  std::int64_t processId = 0;   ///< who wrote `live`, if there is one
  std::uint64_t dataBytes = 0;  ///< length of `data`
};

enum class LoadFor {
  use,      ///< locks the session first; UserError with the holder's process id if it is in use
  repair,   ///< as use, but the caller holds the lock
  reading,  ///< no lock, files read-only: a look that may be a moment old
};

/// Reads a session and checks that it is sound (soundness.h). Changes nothing. Throws UserError,
/// one line, at the first finding that makes it unsound.
LoadedSession loadSession(Folder& folder, LoadFor purpose, const Clock& clock);

/// The same, but tells `found` of every finding, and goes on behind those that allow it. Then what
/// is returned holds only what is sound.
LoadedSession examineSession(Folder& folder, LoadFor purpose, const Clock& clock,
                             const FindingSink& found);

/// Reads a session that may be in use, for a look; otherwise as loadSession().
LoadedSession loadWhileInUse(Folder& folder);

/// Locks a session by its `meta`, which the caller keeps open as long as it needs the lock.
/// UserError with the holder's process id if the session is in use.
void lockSession(Folder& folder, File& meta);

}  // namespace netcow
