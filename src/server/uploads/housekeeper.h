// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "base/mutex.h"

namespace netcow {

/// Does something again and again, on a thread of its own. What it throws is logged.
class Housekeeper {
 public:
  Housekeeper(std::function<void()> work, std::chrono::milliseconds interval);
  /// Waits for the work if it is under way.
  ~Housekeeper();
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

 private:
  void run();
  bool waitForTurn();

  const std::function<void()> work_;
  const std::chrono::milliseconds interval_;
  Mutex mutex_;
  ConditionVariable wake_;
  bool stop_ NETCOW_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace netcow
