// SPDX-License-Identifier: Apache-2.0
#include "merge/merge.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "base/errors.h"
#include "base/unique_fd.h"
#include "base/whole_io.h"
#include "merge/file_copy.h"
#include "merge/new_file.h"

// How a merge is safe: everything happens in a file that nobody can find (NewFile). It is synced
// before it gets its name, so a name never stands for an unfinished image, not even after a power
// cut; and giving the name fails when it is taken, so no image is ever replaced. The base and the
// session are only read.
//
// The content is made in two layers: the visible part of the base, with zeros behind it, and the
// local blocks on top. Blocks of zeros become holes in the file, whatever the base held there.
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

/// Writes the upper layer into the new file.
class BlockWriter {
 public:
  BlockWriter(const Session& session, const NamedFd& output, std::uint64_t fileSize)
      : session_(session), output_(output), fileSize_(fileSize) {}

  /// Lays the local blocks of a cluster on top, as far as they lie below the end of the file.
  /// Returns how many.
  std::uint64_t write(std::uint64_t cluster, const ClusterBits& bits) {
    const std::uint64_t start = cluster * kClusterSize;
    const std::uint64_t limit =
        std::min(kBlocksPerCluster, divideRoundingUp(fileSize_ - start, kBlockSize));
    std::uint64_t written = 0;
    std::uint64_t first = bits.findNext(0, true);
    while (first < limit) {
      const std::uint64_t end = std::min(bits.findNext(first, false), limit);
      writeRun(cluster, first, end - first);
      written += end - first;
      first = bits.findNext(end, true);
    }
    return written;
  }

 private:
  void writeRun(std::uint64_t cluster, std::uint64_t firstBlock, std::uint64_t count) {
    const auto content = std::span(buffer_).first(count * kBlockSize);
    if (const auto error = session_.readBlocks(cluster, firstBlock, content)) {
      throwErrno(toErrno(error), "cannot read the session in " + session_.directory());
    }
    const std::uint64_t offset = cluster * kClusterSize + firstBlock * kBlockSize;
    std::uint64_t done = 0;
    while (done < count) {
      const bool zeros = isZeroBlock(content, done);
      std::uint64_t end = done + 1;
      while (end < count && isZeroBlock(content, end) == zeros) {
        ++end;
      }
      const auto part = content.subspan(done * kBlockSize, (end - done) * kBlockSize);
      writePart(part, offset + done * kBlockSize, zeros);
      done = end;
    }
  }

  void writePart(std::span<const std::byte> content, std::uint64_t offset, bool zeros) const {
    const auto part = content.first(std::min<std::uint64_t>(content.size(), fileSize_ - offset));
    if (zeros && ::fallocate(output_.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                             static_cast<off_t>(offset), static_cast<off_t>(part.size())) == 0) {
      return;
    }
    if (const auto error = pwriteAll(output_.fd, part, offset)) {
      throwErrno(toErrno(error), "cannot write " + output_.path);
    }
  }

  static bool isZeroBlock(std::span<const std::byte> content, std::uint64_t block) {
    static constexpr std::array<std::byte, kBlockSize> kZeros = {};
    return std::memcmp(content.data() + block * kBlockSize, kZeros.data(), kBlockSize) == 0;
  }

  const Session& session_;
  const NamedFd& output_;
  std::uint64_t fileSize_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kClusterSize);
};

/// What the upper layer consists of; listed first, so that the session is not held up meanwhile.
struct LocalCluster {
  std::uint64_t cluster = 0;
  ClusterBits bits;
};

std::vector<LocalCluster> localClusters(const Session& session, std::uint64_t fileSize) {
  std::vector<LocalCluster> clusters;
  session.forEachCluster([&](const ClusterInfo& info) {
    if (info.cluster < divideRoundingUp(fileSize, kClusterSize) && !info.bits.none()) {
      clusters.push_back({info.cluster, info.bits});
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

  const auto clusters = localClusters(session, request.newFileSize);
  progress.mergedClusters = 0;
  progress.totalClusters = clusters.size();

  MergeResult result;
  result.reflinked = layBase(request, base, output, progress.cancel);
  BlockWriter writer(session, output, request.newFileSize);
  for (const LocalCluster& local : clusters) {
    throwIfCancelled(progress.cancel);
    const std::uint64_t blocks = writer.write(local.cluster, local.bits);
    result.blocks += blocks;
    result.clusters += blocks > 0 ? 1 : 0;
    ++progress.mergedClusters;
  }
  throwIfCancelled(progress.cancel);
  file.publish(base.permissions);
  return result;
}

}  // namespace netcow
