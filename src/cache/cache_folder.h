// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "cache/cache_record.h"
#include "session/session.h"

// One image's folder in a cache:
//   lock          whoever holds its flock owns the folder; its time tells when that was last so
//   cache.json    what the blocks are of (cache_record.h)
//   meta, data, live   a session whose base is the image: a local block is a cached one
//   socket        where the owner serves other mounts
namespace netcow {

/// The right to use or remove one image's folder, held until destruction.
class CacheLock {
 public:
  /// Makes the folder if it is missing. Nothing if somebody else has it. Throws UserError.
  static std::optional<CacheLock> take(const std::string& folder);

  /// Notes that the folder is used now.
  void touch() const;

 private:
  explicit CacheLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

/// The session in a folder that holds the blocks of `record`, which is made if there is none yet.
/// One that cannot be opened is only a copy: it is made anew, with a warning. The caller holds the
/// folder's lock. Throws UserError if the folder holds anything else: it is not touched then.
std::unique_ptr<Session> openCacheSession(const std::string& folder, const CacheRecord& record,
                                          const Clock& clock);

/// Removes a folder that is a cache's, with all in it. The caller holds its lock. A folder that is
/// not, or holds anything else too, keeps that.
void removeCacheFolder(const std::string& folder);

}  // namespace netcow
