// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "cache/caching_source.h"
#include "cli/mount_options.h"

namespace netcow {

/// Puts the cache that the (completed) command names over `source`. Throws UserError.
std::unique_ptr<CachingSource> openCache(const MountCommand& command,
                                         std::unique_ptr<Source> source);

/// Throws UserError if a folder that is to be used as a session is one of a cache: changes in
/// there would be taken for what the image has.
void refuseCacheAsSession(const std::string& folder);

}  // namespace netcow
