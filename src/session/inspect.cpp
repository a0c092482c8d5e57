// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <cerrno>

#include "base/errors.h"
#include "session/loader.h"
#include "session/session.h"

namespace netcow {
namespace {

/// Whether somebody holds the session's lock. To find out it is taken for a moment where nobody
/// does, which nobody can meet but an opener of a session whose process was killed.
bool isLocked(Folder& folder) {
  std::unique_ptr<File> meta;
  return !folder.openReadOnly("meta", meta) && meta->lockExclusively().value() == EWOULDBLOCK;
}

}  // namespace

SessionReport inspectSession(const std::string& directory) {
  struct stat status{};
  if (::stat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    throw UserError(directory + " is no session: there is no such folder");
  }
  const auto folder = openFolder(directory);
  const LoadedSession loaded = loadWhileInUse(*folder);
  SessionReport report;
  report.imageName = loaded.header.imageName;
  report.uploadUuid = loaded.header.uuid;
  report.creationTime = static_cast<std::int64_t>(loaded.header.creationTime);
  report.imageSize = loaded.header.imageSize;
  report.validRemoteSize = loaded.header.validRemoteSize;
  report.maxImageSize = loaded.header.maxImageSize;
  report.dataFileBytes = loaded.dataBytes;
  report.open = loaded.live != LiveState::absent;
  report.inUse = report.open && isLocked(*folder);
  report.process = loaded.processId;
  loaded.map->forEachAllocated([&report](std::uint64_t number, const Cluster& cluster) {
    const std::uint64_t blocks = cluster.loadBits().count();
    ++report.clusters;
    if (cluster.dirty) {
      ++report.dirtyClusters;
      report.dirtyBytes += number * kClusterSize < report.imageSize ? blocks * kBlockSize : 0;
    }
    report.localBlocks += blocks;
    report.uploads += cluster.uploads;
    report.failedClusters += cluster.fails != 0 ? 1 : 0;
  });
  return report;
}

}  // namespace netcow
