// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

#include "base/mutex.h"

namespace netcow {

/// Counts requests that a handler has and did not answer yet, and answers that are on their way to
/// the client. Thread-safe.
class UnansweredRequests {
 public:
  /// A handler gets a request. False once the server ends: then it must not.
  bool add() {
    const MutexLock lock(mutex_);
    handled_ += ending_ ? 0 : 1;
    return !ending_;
  }
  /// It answered. Not yet told that by removed(), the server does not end.
  void sending() {
    const MutexLock lock(mutex_);
    ++sent_;
  }
  void removed() {
    const MutexLock lock(mutex_);
    --handled_;
    changed_.notifyAll();
  }
  /// The answer arrived, or never will.
  void delivered() {
    const MutexLock lock(mutex_);
    --sent_;
    changed_.notifyAll();
  }
  /// Lets no other in, waits for the last answer of a handler, and then so long that clients take
  /// theirs.
  void end(std::chrono::milliseconds patience) {
    MutexLock lock(mutex_);
    ending_ = true;
    while (handled_ > 0) {
      changed_.wait(lock);
    }
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (sent_ > 0 && std::chrono::steady_clock::now() < deadline) {
      changed_.waitFor(lock, std::chrono::milliseconds(10));
    }
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  std::uint64_t handled_ NETCOW_GUARDED_BY(mutex_) = 0;
  std::uint64_t sent_ NETCOW_GUARDED_BY(mutex_) = 0;
  bool ending_ NETCOW_GUARDED_BY(mutex_) = false;
};

}  // namespace netcow
