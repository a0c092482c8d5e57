// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/mutex.h"
#include "mount/reply.h"
#include "mount/signalled_callers.h"

namespace netcow {

/// Counts the requests that wait for their completion, so that the end of a mount can let them
/// finish. Thread-safe.
class PendingCount {
 public:
  void add() { ++count_; }
  void remove() NETCOW_EXCLUDES(mutex_);
  /// Waits until there is none, at most `limit`. True if there is none.
  bool waitUntilNone(std::chrono::milliseconds limit) NETCOW_EXCLUDES(mutex_);

 private:
  std::atomic<std::uint64_t> count_ = 0;
  std::atomic<bool> watched_ = false;  // removing stays cheap until somebody waits
  Mutex mutex_;
  ConditionVariable none_;
};

/// A read or write that may end later than its callback, on any thread. Two may want to answer
/// it: the completion, and an interrupt of a reader that is being killed; whoever claims it first
/// does. Held by shared pointers of the callback and of the completion; the last one to let go
/// answers EIO if nobody did.
///
/// libfuse calls an interrupt handler with the request's lock held, and may do so from within
/// the call that registers it, where an answer would free the request under libfuse. Hence the
/// states: an interrupt during `registering` only leaves a note. `mutex_` keeps the completion
/// out while the callback registers; the handler never takes it, because the order is
/// mutex_ before the request's lock.
class PendingRequest : public std::enable_shared_from_this<PendingRequest> {
 public:
  PendingRequest(Reply reply, PendingCount& count);
  ~PendingRequest();
  PendingRequest(const PendingRequest&) = delete;
  PendingRequest& operator=(const PendingRequest&) = delete;

  /// The right to answer, for the completion; nothing when the interrupt took it.
  [[nodiscard]] std::optional<Reply> claim() NETCOW_EXCLUDES(mutex_);

  /// For the callback, after it has handed the work on: if that is not done yet, lets a caller
  /// who is killed go at once instead of when the network answers; or soon, if it got another
  /// signal before: `signalled`, which must outlive this, watches over those.
  void releaseIfCallerIsKilled(SignalledCallers& signalled) NETCOW_EXCLUDES(mutex_);

  /// Answers if the caller is being killed. False: there is nothing more to wait for.
  [[nodiscard]] bool stillWaitsForLivingCaller() NETCOW_EXCLUDES(mutex_);

 private:
  enum class State { fresh, registering, interrupted, watching, answered };

  static void onInterrupt(fuse_req_t request, void* self);
  /// Moves from `from` to `to` unless another thread was faster.
  bool advance(State from, State to) { return state_.compare_exchange_strong(from, to); }

  fuse_req* const request_;
  const pid_t caller_;
  PendingCount& count_;
  SignalledCallers* signalled_ = nullptr;
  Mutex mutex_;
  std::atomic<State> state_ = State::fresh;
};

}  // namespace netcow
