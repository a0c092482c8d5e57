// SPDX-License-Identifier: Apache-2.0
#include "merge/merge.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "base/errors.h"
#include "base/unique_fd.h"
#include "merge/file_copy.h"
#include "merge/merge_space.h"
#include "merge/new_file.h"

// How a merge is safe: everything happens in a file that nobody can find (NewFile). It is synced
// before it gets its name, so a name never stands for an unfinished image, not even after a power
// cut; and giving the name fails when it is taken, so no image is ever replaced. The base and the
// session are only read.
//
// The content is made in two layers: the visible part of the base, with zeros behind it, and the
// local blocks on top (Overlay). Where the file system can, both are shared instead of copied: then
// a merge costs what was changed, not what the image holds.
namespace netcow {
namespace {

struct BaseFile {
  UniqueFd fd;
  std::uint64_t size = 0;  ///< bytes
  mode_t permissions = 0;
};

BaseFile openBase(const std::string& path) {
  BaseFile base;
  // Without O_NONBLOCK a pipe would keep us waiting here for its writer.
  base.fd.reset(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!base.fd) {
    throwErrno("cannot open the base image " + path);
  }
  struct stat status = {};
  if (::fstat(base.fd.get(), &status) != 0) {
    throwErrno("cannot find the size of " + path);
  }
  if (!S_ISREG(status.st_mode)) {
    throw UserError("the base image " + path + " is not a regular file; name an image file");
  }
  base.size = static_cast<std::uint64_t>(status.st_size);
  base.permissions = status.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO);
  return base;
}

void setSize(const NamedFd& file, std::uint64_t size) {
  if (::ftruncate(file.fd, static_cast<off_t>(size)) != 0) {
    throwErrno("cannot set the size of " + file.path);
  }
}

/// The lower layer: what is visible of the base, then zeros. True if the base was shared.
bool layBase(const MergeRequest& request, const BaseFile& base, const NamedFd& output,
             const std::atomic<bool>& cancel) {
  const NamedFd from{base.fd.get(), request.baseFile};
  // A base of an odd size is served rounded up: then originalFileSize lies behind its end.
  const std::uint64_t visible =
      std::min({base.size, request.originalFileSize, request.newFileSize});
  const bool shared = visible > 0 && shareContent(from, output);
  if (!shared) {
    copyContent(from, output, visible, cancel);
  }
  setSize(output, visible);  // what is cut off here must not come back below
  setSize(output, request.newFileSize);
  return shared;
}

/// What the upper layer consists of; listed first, so that the work can be counted.
std::vector<ClusterInfo> localClusters(const Session& session, std::uint64_t fileSize) {
  std::vector<ClusterInfo> clusters;
  session.forEachCluster([&](const ClusterInfo& info) {
    if (info.cluster < divideRoundingUp(fileSize, kClusterSize) && !info.bits.none()) {
      clusters.push_back(info);
    }
  });
  return clusters;
}

}  // namespace

MergeResult mergeSession(const Session& session, const MergeRequest& request,
                         MergeProgress& progress) {
  const BaseFile base = openBase(request.baseFile);
  NewFile file(request.outputFile);
  const NamedFd output{file.fd(), file.path()};
  if (const MergeSpace space = spaceForMerge(session, request); !space.fits()) {
    throw UserError(space.explain(request));
  }

  const auto clusters = localClusters(session, request.newFileSize);
  progress.mergedClusters = 0;
  progress.totalClusters = clusters.size();

  MergeResult result;
  result.baseShared = layBase(request, base, output, progress.cancel);
  Overlay overlay(session, output, request.newFileSize);
  for (const ClusterInfo& cluster : clusters) {
    throwIfCancelled(progress.cancel);
    result.clusters += overlay.lay(cluster) > 0 ? 1 : 0;
    ++progress.mergedClusters;
  }
  result.blocks = overlay.blocks();
  throwIfCancelled(progress.cancel);
  file.sync();  // takes the longest, so there may be a wish to stop behind it
  throwIfCancelled(progress.cancel);
  file.publish(base.permissions);
  return result;
}

}  // namespace netcow
