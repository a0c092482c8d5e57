// SPDX-License-Identifier: Apache-2.0
#include "server/page/overview_keeper.h"

#include <exception>
#include <utility>

#include "base/logging.h"

namespace netcow {

OverviewKeeper::OverviewKeeper(Make make, std::chrono::milliseconds longestAge, const Clock& clock)
    : make_(std::move(make)), longestAge_(longestAge), clock_(clock), thread_([this] { work(); }) {}

OverviewKeeper::~OverviewKeeper() {
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
    changed_.notifyAll();
  }
  thread_.join();
}

void OverviewKeeper::get(Receiver receiver) {
  Shared fresh;
  {
    const MutexLock lock(mutex_);
    fresh = freshOne();
    if (!fresh) {
      waiting_.push_back(std::move(receiver));
      changed_.notifyAll();
    }
  }
  if (fresh) {
    receiver(std::move(fresh));
  }
}

void OverviewKeeper::forget() {
  const MutexLock lock(mutex_);
  latest_.reset();
  ++forgotten_;
}

void OverviewKeeper::work() {
  MutexLock lock(mutex_);
  while (!stopped_) {
    if (waiting_.empty()) {
      changed_.wait(lock);
      continue;
    }
    Shared overview = freshOne();
    if (!overview) {
      const std::uint64_t forgottenBefore = forgotten_;
      lock.unlock();
      overview = makeOne();
      lock.lock();
      // What changed while it was made may not be in it: good enough for those who asked before.
      latest_ = forgotten_ == forgottenBefore ? overview : nullptr;
      madeAt_ = clock_.now();
    }
    std::vector<Receiver> receivers = std::exchange(waiting_, {});
    lock.unlock();
    handOver(overview, receivers);
    receivers.clear();
    lock.lock();
  }
}

void OverviewKeeper::handOver(const Shared& overview, std::vector<Receiver>& receivers) {
  for (Receiver& receiver : receivers) {
    try {
      if (overview) {
        receiver(overview);
      }
    } catch (const std::exception& error) {
      spdlog::error("cannot tell the overview: {}", error.what());
    }
  }
}

/// Null when it cannot be made.
OverviewKeeper::Shared OverviewKeeper::makeOne() const {
  try {
    return std::make_shared<const Overview>(make_());
  } catch (const std::exception& error) {
    spdlog::error("cannot make the overview for the page: {}", error.what());
    return nullptr;
  }
}

OverviewKeeper::Shared OverviewKeeper::freshOne() const {
  return latest_ && clock_.now() - madeAt_ < longestAge_ ? latest_ : nullptr;
}

}  // namespace netcow
