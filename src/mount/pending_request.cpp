// SPDX-License-Identifier: Apache-2.0
#include "mount/pending_request.h"

#include <cerrno>

#include "mount/killed_process.h"

namespace netcow {

void PendingCount::remove() {
  if (--count_ == 0 && watched_) {
    const MutexLock lock(mutex_);
    none_.notifyAll();
  }
}

bool PendingCount::waitUntilNone(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  watched_ = true;
  MutexLock lock(mutex_);
  while (count_ != 0) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= std::chrono::nanoseconds::zero()) {
      return false;
    }
    none_.waitFor(lock, left);
  }
  return true;
}

PendingRequest::PendingRequest(Reply reply, PendingCount& count)
    : request_(reply.release()), caller_(fuse_req_ctx(request_)->pid), count_(count) {
  count_.add();
}

PendingRequest::~PendingRequest() {
  static_cast<void>(claim());  // a Reply that is dropped answers EIO
  count_.remove();
}

std::optional<Reply> PendingRequest::claim() {
  const MutexLock lock(mutex_);
  if (advance(State::fresh, State::answered)) {
    return Reply(request_);
  }
  if (!advance(State::watching, State::answered)) {
    return std::nullopt;
  }
  // Waits for a handler that is just running and found itself too late.
  fuse_req_interrupt_func(request_, nullptr, nullptr);
  return Reply(request_);
}

void PendingRequest::releaseIfCallerIsKilled(SignalledCallers& signalled) {
  const MutexLock lock(mutex_);
  signalled_ = &signalled;
  if (!advance(State::fresh, State::registering)) {
    return;  // ended already
  }
  fuse_req_interrupt_func(request_, &PendingRequest::onInterrupt, this);
  if (!advance(State::registering, State::watching)) {
    state_ = State::answered;
    fuse_reply_err(request_, EINTR);
  }
}

bool PendingRequest::stillWaitsForLivingCaller() {
  if (isBeingKilled(caller_)) {
    if (std::optional<Reply> reply = claim()) {
      reply->error(EINTR);
    }
  }
  return state_ != State::answered;
}

void PendingRequest::onInterrupt(fuse_req_t request, void* self) {
  auto& pending = *static_cast<PendingRequest*>(self);
  // Any signal sends an interrupt, but a read of a disk file is not expected to fail because a
  // timer went off: only a process that dies gets this answer.
  if (!isBeingKilled(pending.caller_)) {
    return pending.signalled_->add(pending.weak_from_this());
  }
  if (pending.advance(State::registering, State::interrupted)) {
    return;
  }
  if (pending.advance(State::watching, State::answered)) {
    fuse_reply_err(request, EINTR);  // `pending` may be gone already
  }
}

}  // namespace netcow
