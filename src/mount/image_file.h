// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <system_error>

#include "base/unique_function.h"
#include "image/image.h"
#include "mount/batch_thread.h"
#include "mount/open_files.h"
#include "mount/pending_request.h"
#include "mount/reply.h"
#include "mount/request_memory.h"

namespace netcow {

/// The file `img`: what the kernel asks of it becomes calls of the image.
///
/// A read or write is handed to the image on the worker that received it. If the image can do it
/// at once it is answered there; otherwise from the thread that ends it, and the worker is free
/// meanwhile. What may block longer has threads of its own: flushing to the disk; zeroing and
/// reserving ranges of any length, and changes of size; and telling the kernel which cached pages
/// are wrong (that waits for locked pages, which may themselves wait for a read that a worker must
/// answer).
///
/// Thread-safe.
class ImageFile {
 public:
  /// All must outlive this. `inode` is the number of the file in the kernel's eyes.
  ImageFile(Image& image, RequestMemory& memory, fuse_ino_t inode);
  ~ImageFile();
  ImageFile(const ImageFile&) = delete;
  ImageFile& operator=(const ImageFile&) = delete;

  /// Whose page cache is told of changes; before the first request.
  void setSession(fuse_session* session) { session_ = session; }

  void open(Reply reply, const fuse_file_info& info);
  /// A close(2): the last one of the last writer is answered after a checkpoint.
  void flush(Reply reply, const fuse_file_info& info);
  void release(Reply reply, const fuse_file_info& info);
  void read(Reply reply, std::size_t bytes, std::uint64_t offset);
  void write(Reply reply, std::span<const std::byte> bytes, std::uint64_t offset,
             const fuse_file_info& info);
  void fsync(Reply reply);
  /// fallocate(2).
  void allocate(Reply reply, int mode, std::uint64_t offset, std::uint64_t length,
                const fuse_file_info& info);
  /// lseek(2) with SEEK_DATA or SEEK_HOLE.
  void seek(Reply reply, std::uint64_t offset, int whence);
  /// Cuts or grows; `done` runs on another thread.
  void resize(std::uint64_t size, Completion done);

  [[nodiscard]] std::uint64_t size() const { return image_.size(); }
  [[nodiscard]] bool writable() const { return image_.writable(); }
  [[nodiscard]] Image::Usage usage() const { return image_.usage(); }
  [[nodiscard]] timespec lastChange() const;

  /// Makes the kernel write back what programs changed through memory maps, and waits for it. Logs
  /// it if some of that failed. Somebody must serve requests meanwhile.
  void collectMappedChanges();

  /// From now on every new read and write is answered with ENOTCONN, as the kernel itself does
  /// once the mount has gone. Returns when the ones before have ended, at most after `limit`;
  /// false if some have not.
  bool refuseAndDrain(std::chrono::milliseconds limit);
  /// Ends the threads when what they were given is answered. Somebody must still serve requests
  /// unless the connection is closed.
  void stopThreads();

 private:
  struct Read;
  struct Change;
  struct Write;
  struct Allocation;
  struct Seek;
  struct Invalidation {
    std::uint64_t offset;
    std::uint64_t length;
    UniqueFunction<void()> then;
  };

  void answerOpen(Reply reply, const fuse_file_info& info, OpenFile& file);
  void flushThenAnswer(const std::shared_ptr<Change>& change, std::error_code error);
  void continueSeek(Seek seek);
  /// `task` may take its time on the local disk.
  void runSlowly(UniqueFunction<void()> task);
  void flushThen(Completion done);
  /// Makes the kernel forget what it has cached of a range, and write back what programs changed
  /// there through memory maps.
  void invalidateThen(Invalidation range);
  void noteChange();

  Image& image_;
  RequestMemory& memory_;
  const fuse_ino_t inode_;
  fuse_session* session_ = nullptr;
  OpenFiles openFiles_;
  PendingCount pending_;
  SignalledCallers signalled_;
  std::atomic<bool> refusing_ = false;
  std::atomic<std::uint64_t> failedWrites_ = 0;
  std::atomic<std::int64_t> lastChangeNanoseconds_;
  BatchThread<Completion> flusher_;
  BatchThread<Invalidation> invalidator_;
  BatchThread<UniqueFunction<void()>> slow_;
};

}  // namespace netcow
