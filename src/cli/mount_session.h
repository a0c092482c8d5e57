// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/mount_options.h"
#include "session/origin.h"
#include "session/session.h"
#include "source/source.h"
#include "upload/upload_prefix.h"

namespace netcow {

/// The session of a writable mount and what goes with it.
struct MountSession {
  std::unique_ptr<Session> session;
  Origin origin;                       ///< as saved in the session's folder
  std::optional<UploadPrefix> prefix;  ///< where changes go; none: they stay local
  UploadAccess access;                 ///< ... and how
};

/// What is known of an earlier mount of the session named by -L; nothing for -c, or for a session
/// of another program. Throws UserError.
std::optional<Origin> earlierOrigin(const MountCommand& command);

/// Fills in what the command line leaves out and the session knows: source, image, revision,
/// upload server. Throws UserError where the two contradict each other.
MountCommand completedBy(const MountCommand& command, const std::optional<Origin>& origin);

/// Opens the base as the (completed) command says; waits for the first server that answers.
/// Throws UserError.
std::unique_ptr<Source> openSource(const MountCommand& command);

/// Makes (-c) or opens (-L) the session over `source`, and its upload where one is wanted.
/// Throws UserError.
MountSession openMountSession(const MountCommand& command, const Source& source,
                              const std::optional<Origin>& earlier);

}  // namespace netcow
