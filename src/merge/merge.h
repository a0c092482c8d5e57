// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "merge/overlay.h"
#include "session/session.h"

namespace netcow {

/// What one merge does: the base cut to `originalFileSize`, grown with zeros to `newFileSize`,
/// the local blocks of the session on top, cut to `newFileSize`.
struct MergeRequest {
  std::string baseFile;
  std::string outputFile;              ///< must not exist; appears whole or not at all
  std::uint64_t originalFileSize = 0;  ///< bytes; the session's validRemoteSize
  std::uint64_t newFileSize = 0;       ///< bytes; the session's imageSize
  std::uint64_t reservedBytes = 0;     ///< that are left free on the disk
};

/// Watched and steered from other threads while mergeSession() runs.
struct MergeProgress {
  std::atomic<std::uint64_t> mergedClusters = 0;
  std::atomic<std::uint64_t> totalClusters = 0;
  std::atomic<bool> cancel = false;  ///< set: mergeSession() throws ECANCELED soon, leaving nothing
};

struct MergeResult {
  std::uint64_t clusters = 0;  ///< laid on top
  OverlayBlocks blocks;        ///< laid on top
  bool baseShared = false;     ///< instead of copied
};

/// Makes the new image file: in a temporary file in the folder of the output, synced, then given
/// its name without ever replacing another file, then the folder synced. The base and the session
/// are only read. Blocks.
///
/// Nobody may change the session meanwhile: the caller has it open, so its lock keeps other
/// processes of netcow out, and the caller itself must not write (the upload service refuses
/// updates from the moment on in which a merge was accepted). After a checkpoint nothing of `data`
/// is left to be written back, which makes sharing faster.
///
/// Throws std::system_error (EEXIST when the output is there) or UserError, also, before anything
/// is written, when there is no room for the new image.
MergeResult mergeSession(const Session& session, const MergeRequest& request,
                         MergeProgress& progress);

}  // namespace netcow
