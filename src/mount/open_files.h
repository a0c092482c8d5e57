// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/mutex.h"

namespace netcow {

/// One open of `img`, from open to release.
struct OpenFile {
  bool direct = false;   ///< past the page cache
  bool writer = false;   ///< may change the image
  bool durable = false;  ///< O_DSYNC or O_SYNC: what it changes is flushed before the answer
  bool flushed = false;  ///< a descriptor of it was closed; of OpenFiles, under its lock
};

/// Who has `img` open: tells when the last writer closes, and keeps the kernel's page cache honest
/// about changes that bypass it.
///
/// Closing. The kernel sends a flush for every close(2), so several for an open that was
/// duplicated, and a release when the last descriptor has gone, which nobody waits for. A writer
/// that was flushed once may be closed already. So a flush after which no writer is left that was
/// never flushed may be the last close: then a checkpoint is due. The last of any number of writers
/// that close at the same time always sees it so.
///
/// The cache outlives the opens that filled it. So a direct write must either have its range
/// invalidated (while somebody may read through the cache) or leave a mark that makes the next
/// cached open empty the cache first. Either side announces itself before it looks at the
/// other, so that one of the two always happens. Thread-safe.
class OpenFiles {
 public:
  /// Its address is the handle the kernel gets; it stays valid until remove().
  OpenFile& add(const OpenFile& kind) NETCOW_EXCLUDES(mutex_) {
    auto file = std::make_unique<OpenFile>(kind);
    OpenFile& added = *file;
    const MutexLock lock(mutex_);
    files_.emplace(&added, std::move(file));
    cachedOpens_ += kind.direct ? 0U : 1U;
    mappers_ += kind.writer && !kind.direct ? 1U : 0U;
    writers_ += kind.writer ? 1U : 0U;
    unflushed_ += kind.writer ? 1U : 0U;
    return added;
  }

  /// True: that was the last writer.
  bool remove(OpenFile& file) NETCOW_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const OpenFile gone = file;
    files_.erase(&file);
    cachedOpens_ -= gone.direct ? 0U : 1U;
    mappers_ -= gone.writer && !gone.direct ? 1U : 0U;
    writers_ -= gone.writer ? 1U : 0U;
    unflushed_ -= gone.writer && !gone.flushed ? 1U : 0U;
    return gone.writer && writers_ == 0;
  }

  /// A descriptor was closed. True: this may be the last close of the last writer.
  bool flush(OpenFile& file) NETCOW_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (file.writer && !file.flushed) {
      file.flushed = true;
      --unflushed_;
    }
    return file.writer && unflushed_ == 0;
  }

  /// For a cached open that was just added. True: what the cache still holds is right.
  [[nodiscard]] bool cacheIsRight() const { return !cacheIsStale_.load(); }
  /// For the same one. A mark that a write leaves meanwhile need not be kept: it sees this open.
  void cacheWasEmptied() { cacheIsStale_.store(false); }

  /// Something has changed the image past the cache. True: its range must be invalidated before
  /// it is answered.
  [[nodiscard]] bool mustInvalidate() {
    if (cachedOpens_.load() == 0) {
      cacheIsStale_.store(true);
    }
    return cachedOpens_.load() > 0;
  }

  /// Whether the cache may hold what programs changed through a shared memory map: only writers
  /// that use it can make one.
  [[nodiscard]] bool mayBeMapped() const { return mappers_.load() > 0; }

 private:
  // All sequentially consistent: the argument above needs one order of all four accesses.
  std::atomic<std::uint64_t> cachedOpens_ = 0;
  std::atomic<bool> cacheIsStale_ = false;
  std::atomic<std::uint64_t> mappers_ = 0;

  Mutex mutex_;
  std::unordered_map<OpenFile*, std::unique_ptr<OpenFile>> files_ NETCOW_GUARDED_BY(mutex_);
  std::uint64_t writers_ NETCOW_GUARDED_BY(mutex_) = 0;
  std::uint64_t unflushed_ NETCOW_GUARDED_BY(mutex_) = 0;
};

}  // namespace netcow
