// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <thread>

#include "base/mutex.h"
#include "session/session.h"

namespace netcow {

/// Checkpoints a session every few seconds while there are changes, on a thread of its own: sync(1)
/// and syncfs() never reach a FUSE server, so without it a power cut could take back hours.
class CheckpointTimer {
 public:
  /// `session` must outlive the timer.
  explicit CheckpointTimer(Session& session,
                           std::chrono::milliseconds interval = std::chrono::seconds(5));
  ~CheckpointTimer();
  CheckpointTimer(const CheckpointTimer&) = delete;
  CheckpointTimer& operator=(const CheckpointTimer&) = delete;

 private:
  void run();

  Session& session_;
  const std::chrono::milliseconds interval_;
  Mutex mutex_;
  ConditionVariable wake_;
  bool stop_ NETCOW_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace netcow
