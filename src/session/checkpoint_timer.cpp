// SPDX-License-Identifier: Apache-2.0
#include "session/checkpoint_timer.h"

#include "base/logging.h"

namespace netcow {

CheckpointTimer::CheckpointTimer(Session& session, std::chrono::milliseconds interval)
    : session_(session), interval_(interval), thread_([this] { run(); }) {}

CheckpointTimer::~CheckpointTimer() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  wake_.notifyAll();
  thread_.join();
}

void CheckpointTimer::run() {
  bool complained = false;
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (!stop_) {
        wake_.waitFor(lock, interval_);
      }
      if (stop_) {
        return;
      }
    }
    if (!session_.needsCheckpoint()) {
      continue;
    }
    const auto error = session_.checkpoint();
    if (error && !complained) {
      spdlog::error(
          "cannot make changes durable in {}: {}; they may be lost if the machine goes "
          "down",
          session_.directory(), error.message());
    }
    complained = static_cast<bool>(error);
  }
}

}  // namespace netcow
