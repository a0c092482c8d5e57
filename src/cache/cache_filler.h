// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "cache/owned_cache.h"
#include "source/source.h"

namespace netcow {

/// Fetches the whole image into the cache, front to back, while nobody reads from the network
/// (--prefetch-all). Ends by itself when the cache has everything or may take no more; it never
/// makes room. Thread-safe.
class CacheFiller {
 public:
  struct Pace {
    std::uint64_t piece = std::uint64_t{256} << 10U;  ///< bytes asked for at a time
    std::uint64_t parallel = 8;                       ///< pieces under way
    /// It waits until nobody has read from the network for so long.
    std::chrono::milliseconds quiet{100};
  };

  /// Both must outlive it, and `inner` must be stopped before it is destroyed.
  CacheFiller(Source& inner, OwnedCache& cache, Pace pace);
  ~CacheFiller();
  CacheFiller(const CacheFiller&) = delete;
  CacheFiller& operator=(const CacheFiller&) = delete;

  /// Somebody reads from the network now.
  void noteRead() { lastRead_.store(now(), std::memory_order_relaxed); }
  /// Asks for nothing from now on.
  void stop();
  /// How far it has come, for people: follows the state of the cache.
  [[nodiscard]] std::string text() const;

 private:
  enum class State { filling, complete, full, gaveUp };

  static std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }
  void run();
  /// Once through the image. False when it is to end.
  bool pass();
  bool waitForTurn();
  void fetch(const BlockCache::Range& range);
  bool waitForAll();

  Source& inner_;
  OwnedCache& cache_;
  const Pace pace_;
  std::atomic<std::int64_t> lastRead_ = now();  ///< the start counts as a read
  std::atomic<State> state_ = State::filling;
  Mutex mutex_;
  ConditionVariable changed_;
  std::uint64_t underWay_ NETCOW_GUARDED_BY(mutex_) = 0;
  bool stop_ NETCOW_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace netcow
