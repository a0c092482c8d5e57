// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/housekeeper.h"

#include <exception>
#include <utility>

#include "base/logging.h"

namespace netcow {

Housekeeper::Housekeeper(std::function<void()> work, std::chrono::milliseconds interval)
    : work_(std::move(work)), interval_(interval), thread_([this] { run(); }) {}

Housekeeper::~Housekeeper() {
  const MutexLock lock(mutex_);
  stop_ = true;
  wake_.notifyAll();
}

void Housekeeper::run() {
  while (waitForTurn()) {
    try {
      work_();
    } catch (const std::exception& error) {
      spdlog::error("uploads: {}", error.what());
    }
  }
}

/// False at the end.
bool Housekeeper::waitForTurn() {
  const auto next = std::chrono::steady_clock::now() + interval_;
  MutexLock lock(mutex_);
  for (auto left = interval_; !stop_ && left.count() > 0;) {
    wake_.waitFor(lock, left);
    left = std::chrono::ceil<std::chrono::milliseconds>(next - std::chrono::steady_clock::now());
  }
  return !stop_;
}

}  // namespace netcow
