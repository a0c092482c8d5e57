// SPDX-License-Identifier: Apache-2.0
#include "mount/image_file.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/errors.h"

namespace netcow {
namespace {

/// What fuse_file_info::fh says of an open of `img`.
enum OpenKind : std::uint64_t { kCachedOpen = 1, kDirectOpen = 2 };

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

bool wantsToWrite(int flags) {
  return (flags & O_ACCMODE) != O_RDONLY;
}

void answer(Reply reply, std::error_code error, std::size_t written) {
  if (error) {
    reply.error(toErrno(error));
  } else {
    reply.written(written);
  }
}

}  // namespace

struct ImageFile::Read : PendingRequest {
  Read(Reply reply, PendingCount& count, PooledMemory room, std::size_t bytes)
      : PendingRequest(std::move(reply), count), memory(std::move(room)), size(bytes) {}

  [[nodiscard]] std::span<std::byte> buffer() const { return {memory.get(), size}; }
  void end(std::error_code error) {
    std::optional<Reply> reply = claim();
    if (!reply) {
      return;
    }
    if (error) {
      reply->error(toErrno(error));
    } else {
      reply->data(buffer());
    }
  }

  const PooledMemory memory;
  const std::size_t size;
};

struct ImageFile::Write : PendingRequest {
  Write(Reply reply, PendingCount& count, RequestMemory::KeptBytes payload)
      : PendingRequest(std::move(reply), count), kept(std::move(payload)) {}

  void end(std::error_code error) {
    if (std::optional<Reply> reply = claim()) {
      answer(std::move(*reply), error, kept.bytes.size());
    }
  }

  const RequestMemory::KeptBytes kept;
  std::uint64_t offset = 0;
  bool direct = false;   ///< went past the page cache
  bool durable = false;  ///< must be flushed before it is answered
};

ImageFile::ImageFile(Image& image, RequestMemory& memory, fuse_ino_t inode)
    : image_(image),
      memory_(memory),
      inode_(inode),
      flusher_([this](std::vector<Completion> waiting) {
        // One flush covers everything acknowledged before it began, so it answers all of them.
        const std::error_code error = image_.flush();
        for (Completion& done : waiting) {
          done(error);
        }
      }),
      invalidator_([this](std::vector<Invalidation> waiting) {
        for (Invalidation& each : waiting) {
          fuse_lowlevel_notify_inval_inode(session_, inode_, static_cast<off_t>(each.offset),
                                           static_cast<off_t>(each.length));
          each.then();
        }
      }) {
  noteChange();
}

ImageFile::~ImageFile() {
  stopThreads();
}

void ImageFile::open(Reply reply, const fuse_file_info& info) {
  if (wantsToWrite(info.flags) && !image_.writable()) {
    return reply.error(EROFS);
  }
  // The kernel leaves truncating to the open (ATOMIC_O_TRUNC).
  if ((info.flags & O_TRUNC) != 0) {
    if (const std::error_code error = resize(0)) {
      return reply.error(toErrno(error));
    }
  }
  if ((info.flags & O_DIRECT) != 0) {
    static_cast<void>(reply.openedForParallelDirectIo(kDirectOpen));
    return;
  }
  fuse_file_info answer = info;
  answer.fh = kCachedOpen;
  answer.keep_cache = openFiles_.openCached() ? 1 : 0;
  if (!reply.opened(answer)) {
    openFiles_.closeCached();
  }
}

void ImageFile::release(Reply reply, const fuse_file_info& info) {
  if (info.fh == kCachedOpen) {
    openFiles_.closeCached();
  }
  reply.done();
}

void ImageFile::read(Reply reply, std::size_t bytes, std::uint64_t offset) {
  if (refusing_) {
    return reply.error(ENOTCONN);
  }
  const std::uint64_t end = image_.size();
  if (offset >= end) {
    return reply.data({});
  }
  bytes = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, end - offset));
  auto request = std::make_shared<Read>(std::move(reply), pending_, memory_.forRead(bytes), bytes);
  image_.read(request->buffer(), offset, [request](std::error_code error) { request->end(error); });
  request->releaseIfCallerIsKilled();
}

void ImageFile::write(Reply reply, std::span<const std::byte> bytes, std::uint64_t offset,
                      const fuse_file_info& info) {
  if (refusing_) {
    return reply.error(ENOTCONN);
  }
  auto request = std::make_shared<Write>(std::move(reply), pending_, memory_.keepPayload(bytes));
  request->offset = offset;
  request->direct = info.fh == kDirectOpen;
  // For a cached open the kernel sends the fsync that O_DSYNC and O_SYNC mean; not for a direct.
  request->durable = request->direct && (info.flags & O_DSYNC) != 0;
  image_.write(request->kept.bytes, offset,
               [this, request](std::error_code error) { writeEnded(request, error); });
  // A killed writer is not let go before its write has ended: once the kernel thinks it over,
  // another may write the same bytes, and what still waits for its block would overwrite them.
}

void ImageFile::writeEnded(const std::shared_ptr<Write>& write, std::error_code error) {
  noteChange();
  // A write that failed may have changed a part, so its pages are dropped too.
  if (write->direct && openFiles_.mustInvalidateAfterDirectWrite()) {
    Invalidation wrong = {write->offset, write->kept.bytes.size(),
                          [this, write, error] { flushThenAnswer(write, error); }};
    if (invalidator_.post(wrong)) {
      return;
    }
    // The mount is ending, and the page cache with it.
  }
  flushThenAnswer(write, error);
}

void ImageFile::flushThenAnswer(const std::shared_ptr<Write>& write, std::error_code error) {
  if (error || !write->durable) {
    return write->end(error);
  }
  flushThen([write](std::error_code flushError) { write->end(flushError); });
}

void ImageFile::fsync(Reply reply) {
  flushThen(
      [reply = std::move(reply)](std::error_code error) mutable { reply.error(toErrno(error)); });
}

void ImageFile::flushThen(Completion done) {
  if (!flusher_.post(done)) {
    done(errnoCode(ENOTCONN));  // the mount is ending
  }
}

std::error_code ImageFile::resize(std::uint64_t size) {
  const std::error_code error = image_.resize(size);
  if (!error) {
    noteChange();
  }
  return error;
}

void ImageFile::noteChange() {
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);  // in the vDSO: no system call a write
  lastChangeNanoseconds_ = now.tv_sec * kNanosecondsPerSecond + now.tv_nsec;
}

timespec ImageFile::lastChange() const {
  const std::int64_t time = lastChangeNanoseconds_;
  return {time / kNanosecondsPerSecond, time % kNanosecondsPerSecond};
}

bool ImageFile::refuseAndDrain(std::chrono::milliseconds limit) {
  refusing_ = true;
  return pending_.waitUntilNone(limit);
}

void ImageFile::stopThreads() {
  invalidator_.stop();
  flusher_.stop();
}

}  // namespace netcow
