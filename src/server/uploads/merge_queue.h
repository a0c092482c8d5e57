// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "base/mutex.h"
#include "server/uploads/upload.h"

namespace netcow {

/// One thread that merges uploads, one after the other: two at a time would only make each other's
/// disk slower. Thread-safe.
class MergeQueue {
 public:
  using Job = std::function<void(Upload&)>;

  /// Begins to work. When `job` throws, that is logged, and the same upload is taken again after
  /// `pause`; others need not wait for it.
  explicit MergeQueue(Job job, std::chrono::milliseconds pause = std::chrono::seconds(10));
  /// As stop().
  ~MergeQueue();
  MergeQueue(const MergeQueue&) = delete;
  MergeQueue& operator=(const MergeQueue&) = delete;

  void push(std::shared_ptr<Upload> upload);

  /// Takes back an upload that is not being merged yet, or pauses; false for any other.
  bool remove(const Upload& upload);

  struct Length {
    std::uint64_t waiting = 0;  ///< also those that pause
    std::uint64_t running = 0;
  };
  [[nodiscard]] Length length() const;

  /// Cancels the merge that runs, takes no other, and waits for the thread.
  void stop();

 private:
  using SteadyClock = std::chrono::steady_clock;
  struct Paused {
    SteadyClock::time_point until;
    std::shared_ptr<Upload> upload;
  };

  void work();
  std::shared_ptr<Upload> take();
  void pause(std::shared_ptr<Upload> upload);
  void endPauses() NETCOW_REQUIRES(mutex_);
  void waitForChange(MutexLock& lock) NETCOW_REQUIRES(mutex_);

  const Job job_;
  const std::chrono::milliseconds pause_;
  mutable Mutex mutex_;
  ConditionVariable changed_;
  std::deque<std::shared_ptr<Upload>> waiting_ NETCOW_GUARDED_BY(mutex_);
  std::deque<Paused> paused_ NETCOW_GUARDED_BY(mutex_);  // in the order of their times
  std::shared_ptr<Upload> current_ NETCOW_GUARDED_BY(mutex_);
  bool stopped_ NETCOW_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace netcow
