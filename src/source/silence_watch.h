// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/clock.h"

namespace netcow {

/// When to send KEEPALIVE, and when a server counts as dead. Rules only; not thread-safe.
///
/// A server drops a client it has not heard for a minute, so something must go out every
/// `keepAliveEvery`. Whatever is sent is answered, so a server that says nothing for `silenceLimit`
/// while an answer is due has gone. The limit must not be shorter than keepAliveEvery; then a
/// thread that looks at nextCheck() whenever it wakes up is never late, without being woken for
/// each request.
class SilenceWatch {
 public:
  SilenceWatch(std::chrono::milliseconds keepAliveEvery, std::chrono::milliseconds silenceLimit)
      : keepAliveEvery_(keepAliveEvery), silenceLimit_(silenceLimit) {}

  /// A new connection begins.
  void start(Clock::Time now) {
    lastSent_ = now;
    waitingSince_.reset();
  }
  /// Something went out that will be answered.
  void sent(Clock::Time now) {
    lastSent_ = now;
    if (!waitingSince_) {
      waitingSince_ = now;
    }
  }
  /// Something came in. `moreDue`: requests are still unanswered.
  void received(Clock::Time now, bool moreDue) {
    waitingSince_ = moreDue ? std::optional(now) : std::nullopt;
  }

  [[nodiscard]] bool keepAliveDue(Clock::Time now) const {
    return now >= lastSent_ + keepAliveEvery_;
  }
  [[nodiscard]] bool isDead(Clock::Time now) const {
    return waitingSince_ && now >= *waitingSince_ + silenceLimit_;
  }
  /// No answer of the two above can change before, unless one of the events comes.
  [[nodiscard]] Clock::Time nextCheck() const {
    const Clock::Time keepAlive = lastSent_ + keepAliveEvery_;
    return waitingSince_ ? std::min(keepAlive, *waitingSince_ + silenceLimit_) : keepAlive;
  }

 private:
  std::chrono::milliseconds keepAliveEvery_;
  std::chrono::milliseconds silenceLimit_;
  Clock::Time lastSent_;
  std::optional<Clock::Time> waitingSince_;  // since when an answer is due and nothing came
};

}  // namespace netcow
