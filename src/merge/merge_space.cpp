// SPDX-License-Identifier: Apache-2.0
//
// Whether a file system shares is found out by letting it share one block with a file that nobody
// sees: its name and its options do not tell (xfs without reflink, btrfs beside a NOCOW file).
#include "merge/merge_space.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "base/errors.h"
#include "base/unique_fd.h"
#include "merge/file_copy.h"

namespace netcow {
namespace {

std::string folderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

/// Whether a new file in `folder` can share the content of `path`.
bool canShare(const std::string& path, const std::string& folder) {
  const UniqueFd from(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const UniqueFd to(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR));
  return from && to && shareRange({from.get(), path}, {0, kBlockSize}, {to.get(), folder}, 0) == 0;
}

std::uint64_t spaceOfBase(const MergeRequest& request) {
  struct stat status = {};
  if (::stat(request.baseFile.c_str(), &status) != 0) {
    throwErrno("cannot find the size of " + request.baseFile);
  }
  constexpr std::uint64_t kStatBlock = 512;
  return std::min({static_cast<std::uint64_t>(status.st_blocks) * kStatBlock,
                   request.originalFileSize, request.newFileSize});
}

std::uint64_t spaceOfBlocks(const Session& session, std::uint64_t fileSize) {
  std::uint64_t blocks = 0;
  session.forEachCluster([&](const ClusterInfo& info) {
    if (info.cluster < divideRoundingUp(fileSize, kClusterSize)) {
      blocks += info.bits.count();
    }
  });
  return blocks * kBlockSize;
}

std::string mebibytes(std::uint64_t bytes) {
  return std::to_string(divideRoundingUp(bytes, std::uint64_t{1} << 20U)) + " MiB";
}

}  // namespace

std::string MergeSpace::explain(const MergeRequest& request) const {
  const std::string kept = request.reservedBytes == 0
                               ? ""
                               : " beside " + mebibytes(request.reservedBytes) + " kept free";
  return "no room for the new image: it takes up to " + mebibytes(needed) + ", and " +
         folderOf(request.outputFile) + " has " + mebibytes(free) + kept +
         "; make room there and ask for the merge again";
}

MergeSpace spaceForMerge(const Session& session, const MergeRequest& request) {
  const std::string folder = folderOf(request.outputFile);
  MergeSpace space;
  if (!canShare(request.baseFile, folder)) {
    space.needed += spaceOfBase(request);
  }
  if (!canShare(session.directory() + "/data", folder)) {
    space.needed += spaceOfBlocks(session, request.newFileSize);
  }
  struct statvfs disk = {};
  if (::statvfs(folder.c_str(), &disk) != 0) {
    throwErrno("cannot find out how much is free in " + folder);
  }
  const std::uint64_t free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  space.free = free > request.reservedBytes ? free - request.reservedBytes : 0;
  return space;
}

}  // namespace netcow
