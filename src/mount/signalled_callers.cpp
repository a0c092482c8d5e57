// SPDX-License-Identifier: Apache-2.0
#include "mount/signalled_callers.h"

#include <utility>

#include "mount/pending_request.h"

namespace netcow {

SignalledCallers::SignalledCallers(std::chrono::milliseconds period)
    : period_(period), thread_([this] { watch(); }) {}

SignalledCallers::~SignalledCallers() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notifyOne();
  }
  thread_.join();
}

void SignalledCallers::add(std::weak_ptr<PendingRequest> request) {
  const MutexLock lock(mutex_);
  requests_.push_back(std::move(request));
  changed_.notifyOne();
}

void SignalledCallers::watch() {
  std::vector<std::weak_ptr<PendingRequest>> looked;
  for (;;) {
    {
      MutexLock lock(mutex_);
      requests_.insert(requests_.end(), looked.begin(), looked.end());
      while (requests_.empty() && !stopping_) {
        changed_.wait(lock);
      }
      if (!stopping_) {
        changed_.waitFor(lock, period_);
      }
      if (stopping_) {
        return;
      }
      looked = std::exchange(requests_, {});
    }
    // Without the lock: answering takes locks that add() is called with.
    std::erase_if(looked, [](const std::weak_ptr<PendingRequest>& each) {
      const std::shared_ptr<PendingRequest> request = each.lock();
      return request == nullptr || !request->stillWaitsForLivingCaller();
    });
  }
}

}  // namespace netcow
