// SPDX-License-Identifier: Apache-2.0
#include "mount/image_file.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "mount/handle.h"

namespace netcow {
namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
/// As the length of an invalidation.
constexpr std::uint64_t kWholeFile = 0;

bool wantsToWrite(int flags) {
  return (flags & O_ACCMODE) != O_RDONLY;
}

/// No exception may end a thread; a Reply that it drops answers EIO.
template <class Task>
void guarded(Task&& task) {
  try {
    task();
  } catch (const std::exception& error) {
    spdlog::error("a request to the mount failed: {}", error.what());
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

ImageFile::ImageFile(Image& image, RequestMemory& memory, fuse_ino_t inode)
    : image_(image),
      memory_(memory),
      inode_(inode),
      flusher_([this](std::vector<Completion> waiting) {
        // One flush covers everything acknowledged before it began, so it answers all of them.
        const std::error_code error = image_.flush();
        for (Completion& done : waiting) {
          guarded([&] { done(error); });
        }
      }),
      invalidator_([this](std::vector<Invalidation> waiting) {
        for (Invalidation& each : waiting) {
          fuse_lowlevel_notify_inval_inode(session_, inode_, static_cast<off_t>(each.offset),
                                           static_cast<off_t>(each.length));
          guarded(each.then);
        }
      }),
      slow_([](std::vector<UniqueFunction<void()>> waiting) {
        for (UniqueFunction<void()>& task : waiting) {
          guarded(task);
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
  OpenFile& file = openFiles_.add({.direct = (info.flags & O_DIRECT) != 0,
                                   .writer = wantsToWrite(info.flags),
                                   .durable = (info.flags & O_DSYNC) != 0});
  if (file.direct || openFiles_.cacheIsRight()) {
    return answerOpen(std::move(reply), info, file);
  }
  // Emptied before the answer, and for whoever opens meanwhile as well: the kernel would do it only
  // after it, and a second opener might read an old page in between.
  invalidateThen({0, kWholeFile, [this, reply = std::move(reply), info, &file]() mutable {
                    openFiles_.cacheWasEmptied();
                    answerOpen(std::move(reply), info, file);
                  }});
}

void ImageFile::answerOpen(Reply reply, const fuse_file_info& info, OpenFile& file) {
  fuse_file_info answer = info;
  answer.fh = toHandle(&file);
  answer.noflush = file.writer ? 0 : 1;
  answer.keep_cache = 1;
  const bool delivered =
      file.direct ? reply.openedForParallelDirectIo(answer) : reply.opened(answer);
  if (!delivered) {
    openFiles_.remove(file);
  }
}

void ImageFile::flush(Reply reply, const fuse_file_info& info) {
  if (!openFiles_.flush(*fromHandle<OpenFile>(info.fh))) {
    return reply.done();
  }
  fsync(std::move(reply));
}

void ImageFile::release(Reply reply, const fuse_file_info& info) {
  if (openFiles_.remove(*fromHandle<OpenFile>(info.fh))) {
    // What came after the last flush: through a memory map that outlived its descriptor, or from
    // the kernel itself (a loop device). Nobody waits for it.
    flushThen([](std::error_code) {});
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
  request->releaseIfCallerIsKilled(signalled_);
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

void ImageFile::invalidateThen(Invalidation range) {
  if (!invalidator_.post(range)) {
    range.then();  // the mount is ending, and the page cache with it
  }
}

void ImageFile::runSlowly(UniqueFunction<void()> task) {
  if (!slow_.post(task)) {
    guarded(task);  // the mount is ending: nobody else needs this worker
  }
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

void ImageFile::collectMappedChanges() {
  const std::uint64_t before = failedWrites_;
  fuse_lowlevel_notify_inval_inode(session_, inode_, 0, kWholeFile);
  if (failedWrites_ != before) {
    spdlog::error(
        "the mount ended before everything that programs had changed was written: {} "
        "writes failed meanwhile",
        failedWrites_ - before);
  }
}

bool ImageFile::refuseAndDrain(std::chrono::milliseconds limit) {
  refusing_ = true;
  return pending_.waitUntilNone(limit);
}

void ImageFile::stopThreads() {
  slow_.stop();
  invalidator_.stop();
  flusher_.stop();
}

}  // namespace netcow
