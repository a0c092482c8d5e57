// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/unique_fd.h"

// The socket at which the owner of an image's cache serves other mounts of the host. They speak the
// dnbd3 protocol: SELECT_IMAGE, then GET_BLOCK. Both functions reach it through the folder's file
// descriptor, since the name of a socket may only have 107 bytes.
namespace netcow {

/// Listens at the socket in `folder`, in place of one that an earlier owner left. Only the user who
/// made it can connect. Non-blocking. Throws std::system_error.
UniqueFd listenInCache(const std::string& folder);

/// Connects to it, non-blocking. No descriptor (and errno) if nobody listens.
UniqueFd connectToCache(const std::string& folder);

}  // namespace netcow
