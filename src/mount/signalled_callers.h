// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace netcow {

class PendingRequest;

/// Requests whose caller got a signal that did not kill it.
///
/// The kernel tells of one signal a request. A caller that is killed after another signal would
/// wait, and could not end, until the network answers: so these are looked at again and again by
/// a thread, which sleeps while there are none. Thread-safe.
class SignalledCallers {
 public:
  explicit SignalledCallers(std::chrono::milliseconds period = std::chrono::milliseconds(500));
  ~SignalledCallers();
  SignalledCallers(const SignalledCallers&) = delete;
  SignalledCallers& operator=(const SignalledCallers&) = delete;

  /// Looks at the request's caller until the request has ended. Called by libfuse's handler of an
  /// interrupt, with its lock of the request held.
  void add(std::weak_ptr<PendingRequest> request) NETCOW_EXCLUDES(mutex_);

 private:
  void watch() NETCOW_EXCLUDES(mutex_);

  const std::chrono::milliseconds period_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::vector<std::weak_ptr<PendingRequest>> requests_ NETCOW_GUARDED_BY(mutex_);
  bool stopping_ NETCOW_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace netcow
