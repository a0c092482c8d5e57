// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <thread>

#include "base/mutex.h"
#include "cache/block_cache.h"

namespace netcow {

/// Brings blocks that arrived from the network into a BlockCache, on a thread of its own: nobody
/// who reads waits for the disk. What does not fit into its memory is not kept. Thread-safe.
class StoreQueue {
 public:
  /// The most that waits at a time, in bytes.
  static constexpr std::uint64_t kMost = std::uint64_t{32} << 20U;

  /// `cache` must outlive the queue; its storing methods are the queue's.
  explicit StoreQueue(BlockCache& cache);
  /// What waits is stored first.
  ~StoreQueue();
  StoreQueue(const StoreQueue&) = delete;
  StoreQueue& operator=(const StoreQueue&) = delete;

  /// Copies the whole blocks of `bytes`, which lie at `offset`, for storing. Never waits; false if
  /// there is no room in the queue.
  bool offer(std::span<const std::byte> bytes, std::uint64_t offset,
             BlockCache::Room room = BlockCache::Room::make);

  /// Whether so much waits that who is in no hurry should wait too.
  bool isBusy();
  /// Returns when all that was offered before is stored or given up.
  void drain();
  /// Whether something that was to find room has found none since the last call.
  bool foundNoRoom() { return noRoom_.exchange(false); }
  /// Runs once all that was offered before is dealt with; on the queue's thread.
  void afterwards(std::function<void()> task);

 private:
  struct Item {
    std::unique_ptr<std::byte[]> bytes;
    std::uint64_t length = 0;
    std::uint64_t offset = 0;
    BlockCache::Room room = BlockCache::Room::make;
    std::function<void()> task;  ///< in place of bytes
  };
  void run();
  void deal(Item& item);

  BlockCache& cache_;
  std::atomic<bool> noRoom_ = false;
  Mutex mutex_;  ///< never held while the cache works
  ConditionVariable changed_;
  std::deque<Item> items_ NETCOW_GUARDED_BY(mutex_);
  std::uint64_t waiting_ NETCOW_GUARDED_BY(mutex_) = 0;  ///< bytes
  bool working_ NETCOW_GUARDED_BY(mutex_) = false;
  bool stop_ NETCOW_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace netcow
