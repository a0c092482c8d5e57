// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "cache/block_cache.h"
#include "cache/cache_folder.h"
#include "cache/cache_space.h"
#include "cache/store_queue.h"

namespace netcow {

/// One image's cache in the hands of this mount: the folder's lock, the session in it, and what
/// works on it. Of all mounts on the host one at a time has it. Thread-safe.
class OwnedCache {
 public:
  /// How much a power cut may take back: what was cached since the last checkpoint.
  static constexpr std::chrono::seconds kCheckpointEvery{30};

  /// Nothing if another mount has it. Throws UserError if the folder cannot be used. `space` must
  /// outlive the cache.
  static std::unique_ptr<OwnedCache> open(const CacheSpace& space, const CacheRecord& record);
  /// The same with a session of the caller's, for tests.
  OwnedCache(CacheLock lock, std::unique_ptr<Session> session, std::uint64_t imageSize,
             BlockCache::Share share);
  /// Stores what waits, and closes the session.
  ~OwnedCache();
  OwnedCache(const OwnedCache&) = delete;
  OwnedCache& operator=(const OwnedCache&) = delete;

  [[nodiscard]] BlockCache& blocks() { return blocks_; }
  [[nodiscard]] StoreQueue& queue() { return queue_; }
  [[nodiscard]] const std::string& folder() const { return session_->directory(); }
  /// Whether the last owner did not come to close it.
  [[nodiscard]] bool recovered() const { return !session_->recovery().empty(); }
  /// What `data` takes on the disk, in bytes.
  [[nodiscard]] std::uint64_t spaceTaken() const;
  /// When it is destroyed, leaves everything as a killed process would: for tests.
  void abandon() { abandoned_ = true; }

 private:
  void makeCheckpoints();

  const CacheLock lock_;
  const std::unique_ptr<Session> session_;
  BlockCache blocks_;
  StoreQueue queue_;
  Mutex mutex_;
  ConditionVariable wake_;
  bool stop_ NETCOW_GUARDED_BY(mutex_) = false;
  bool abandoned_ = false;
  std::thread checkpoints_;
};

}  // namespace netcow
