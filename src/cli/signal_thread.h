// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>
#include <functional>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace netcow {

/// Turns signals into ordinary calls on a thread of its own.
class SignalThread {
 public:
  /// Blocks `signals` for this thread and all that it starts later: construct it before any
  /// other thread. `handle` runs for each that arrives, one after the other.
  SignalThread(std::vector<int> signals, std::function<void(int)> handle);
  ~SignalThread();
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;

 private:
  void run();

  sigset_t set_{};
  std::function<void(int)> handle_;
  UniqueFd stopEvent_;
  UniqueFd signalFd_;
  std::thread thread_;
};

}  // namespace netcow
