// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace netcow {

/// One thread for work that no FUSE worker may do because it would block. Items that come while
/// the handler is busy are handed to it together, so that one flush can answer many callers.
/// Thread-safe.
template <class Item>
class BatchThread {
 public:
  using Handler = std::function<void(std::vector<Item>)>;

  /// `handle` must not throw and must not call stop().
  explicit BatchThread(Handler handle) : handle_(std::move(handle)), thread_([this] { work(); }) {}
  ~BatchThread() { stop(); }
  BatchThread(const BatchThread&) = delete;
  BatchThread& operator=(const BatchThread&) = delete;

  /// Hands `item` to the thread. False after stop(): then nothing was taken.
  [[nodiscard]] bool post(Item& item) NETCOW_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (stopping_) {
      return false;
    }
    waiting_.push_back(std::move(item));
    wake_.notifyOne();
    return true;
  }

  /// Returns when everything posted has been handled. May be called more than once, by one
  /// thread at a time.
  void stop() NETCOW_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
      wake_.notifyOne();
    }
    if (thread_.joinable()) {
      thread_.join();
    }
  }

 private:
  void work() NETCOW_EXCLUDES(mutex_) {
    for (;;) {
      std::vector<Item> batch;
      {
        MutexLock lock(mutex_);
        while (waiting_.empty() && !stopping_) {
          wake_.wait(lock);
        }
        batch.swap(waiting_);
      }
      if (batch.empty()) {
        return;
      }
      handle_(std::move(batch));
    }
  }

  const Handler handle_;
  Mutex mutex_;
  ConditionVariable wake_;
  std::vector<Item> waiting_ NETCOW_GUARDED_BY(mutex_);
  bool stopping_ NETCOW_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace netcow
