// SPDX-License-Identifier: Apache-2.0
//
// What is shared is decided run by run, because one file system may refuse one run and take the
// next: one whose blocks are larger than 4 KiB shares only what begins and ends at its own blocks.
// The kernel writes back what is dirty in the range before it shares it, so what is shared is what
// reads of `data` give, and it is on the disk; the sync of the new file makes the sharing durable.
#include "merge/overlay.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/errors.h"
#include "base/whole_io.h"

namespace netcow {
namespace {

bool isZeroBlock(std::span<const std::byte> content, std::uint64_t block) {
  static constexpr std::array<std::byte, kBlockSize> kZeros = {};
  return std::memcmp(content.data() + block * kBlockSize, kZeros.data(), kBlockSize) == 0;
}

/// Whether a run that could not be shared says that none can.
bool meansNever(int error) {
  return error == EXDEV || error == EOPNOTSUPP || error == ENOTTY || error == ENOSYS;
}

}  // namespace

Overlay::Overlay(const Session& session, const NamedFd& output, std::uint64_t fileSize)
    : session_(session),
      output_(output),
      fileSize_(fileSize),
      dataFd_(::open((session.directory() + "/data").c_str(), O_RDONLY | O_CLOEXEC)),
      data_{dataFd_.get(), session.directory() + "/data"},
      canShare_(static_cast<bool>(dataFd_)) {}

std::uint64_t Overlay::lay(const ClusterInfo& cluster) {
  const std::uint64_t start = cluster.cluster * kClusterSize;
  if (start >= fileSize_) {
    return 0;
  }
  const std::uint64_t limit =
      std::min(kBlocksPerCluster, divideRoundingUp(fileSize_ - start, kBlockSize));
  const std::uint64_t before = blocks_.all();
  std::uint64_t first = cluster.bits.findNext(0, true);
  while (first < limit) {
    const std::uint64_t end = std::min(cluster.bits.findNext(first, false), limit);
    layRun({cluster.dataOffset + first * kBlockSize, start + first * kBlockSize,
            (end - first) * kBlockSize});
    first = cluster.bits.findNext(end, true);
  }
  return blocks_.all() - before;
}

/// Parts a run into holes of `data` and content.
void Overlay::layRun(const Run& run) {
  std::uint64_t done = 0;
  while (done < run.length) {
    FileRange data{run.place + done, run.place + run.length};
    if (dataFd_) {
      data = nextData(data_, data);
    }
    // A local block is one or the other as a whole.
    const std::uint64_t begin = roundDown(data.begin - run.place, kBlockSize);
    const std::uint64_t end = roundUp(data.end - run.place, kBlockSize);
    if (begin > done) {
      punch(run.offset + done, begin - done);
    }
    if (end > begin) {
      layContent({run.place + begin, run.offset + begin, end - begin});
    }
    done = end;
  }
}

void Overlay::layContent(const Run& run) {
  // A last block that the file cuts cannot be shared.
  const std::uint64_t whole = roundDown(lengthInFile(run), kBlockSize);
  const Run front{run.place, run.offset, whole};
  const Run rest{run.place + whole, run.offset + whole, run.length - whole};
  if (whole > 0 && !share(front)) {
    copy(front);
  }
  if (rest.length > 0) {
    copy(rest);
  }
}

bool Overlay::share(const Run& run) {
  if (!canShare_) {
    return false;
  }
  const int error = shareRange(data_, {run.place, run.place + run.length}, output_, run.offset);
  // Whatever else the reason is: a real error is met again when the run is copied.
  canShare_ = !meansNever(error);
  blocks_.shared += error == 0 ? run.length / kBlockSize : 0;
  return error == 0;
}

void Overlay::copy(const Run& run) {
  buffer_.resize(kClusterSize);
  const auto content = std::span(buffer_).first(run.length);
  if (const auto error = session_.readData(content, run.place)) {
    throwErrno(toErrno(error), "cannot read the session in " + session_.directory());
  }
  const std::uint64_t count = run.length / kBlockSize;
  std::uint64_t done = 0;
  while (done < count) {
    const bool zeros = isZeroBlock(content, done);
    std::uint64_t end = done + 1;
    while (end < count && isZeroBlock(content, end) == zeros) {
      ++end;
    }
    const std::uint64_t offset = run.offset + done * kBlockSize;
    if (zeros) {
      punch(offset, (end - done) * kBlockSize);
    } else {
      write(content.subspan(done * kBlockSize, (end - done) * kBlockSize), offset);
      blocks_.copied += end - done;
    }
    done = end;
  }
}

void Overlay::punch(std::uint64_t offset, std::uint64_t length) {
  blocks_.zeros += length / kBlockSize;
  const std::uint64_t inFile = std::min(length, fileSize_ - offset);
  if (::fallocate(output_.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  static_cast<off_t>(offset), static_cast<off_t>(inFile)) == 0) {
    return;
  }
  const std::vector<std::byte> zeros(kBlockSize);
  for (std::uint64_t at = 0; at < length; at += kBlockSize) {
    write(zeros, offset + at);
  }
}

void Overlay::write(std::span<const std::byte> content, std::uint64_t offset) const {
  const auto part = content.first(std::min<std::uint64_t>(content.size(), fileSize_ - offset));
  if (const auto error = pwriteAll(output_.fd, part, offset)) {
    throwErrno(toErrno(error), "cannot write " + output_.path);
  }
}

std::uint64_t Overlay::lengthInFile(const Run& run) const {
  return std::min(run.length, fileSize_ - run.offset);
}

}  // namespace netcow
