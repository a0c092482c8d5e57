// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/clock.h"

namespace netcow {

/// When to send KEEPALIVE, and when a server counts as late or as dead. Rules only; not
/// thread-safe.
///
/// A server drops a client it has not heard for a minute, so something must go out every
/// `keepAliveEvery`. Whatever is sent is answered, so a server that says nothing for `silenceLimit`
/// while an answer is due has gone. The limit must not be shorter than keepAliveEvery; then a
/// thread that looks at nextCheck() whenever it wakes up never misses a death, without being woken
/// for each request.
///
/// Blocks are watched by themselves: a server may well answer KEEPALIVE while its disk hangs. Any
/// byte of any block counts, so a slow link that streams steadily is never late, however many
/// requests are queued on it.
class SilenceWatch {
 public:
  using Duration = Clock::Time::duration;

  SilenceWatch(std::chrono::milliseconds keepAliveEvery, std::chrono::milliseconds silenceLimit)
      : keepAliveEvery_(keepAliveEvery), silenceLimit_(silenceLimit) {}

  /// A new connection begins.
  void start(Clock::Time now) {
    lastSent_ = now;
    waitingSince_.reset();
    blocksSince_.reset();
  }
  /// Something went out that will be answered; `withBlocks`: requests for blocks among it.
  void sent(Clock::Time now, bool withBlocks) {
    lastSent_ = now;
    if (!waitingSince_) {
      waitingSince_ = now;
    }
    if (withBlocks && !blocksSince_) {
      blocksSince_ = now;
    }
  }
  /// Something came in; `ofBlocks`: a part of a block among it, or that it is refused.
  /// `blocksDue`: some are still unanswered.
  void received(Clock::Time now, bool ofBlocks, bool blocksDue) {
    waitingSince_ = blocksDue ? std::optional(now) : std::nullopt;
    if (!blocksDue) {
      blocksSince_.reset();
    } else if (ofBlocks || !blocksSince_) {
      blocksSince_ = now;
    }
  }

  [[nodiscard]] bool keepAliveDue(Clock::Time now) const {
    return now >= lastSent_ + keepAliveEvery_;
  }
  [[nodiscard]] bool isDead(Clock::Time now) const {
    return waitingSince_ && now >= *waitingSince_ + silenceLimit_;
  }
  /// Blocks are due and none has moved on for `limit`.
  [[nodiscard]] bool blocksStandStill(Clock::Time now, Duration limit) const {
    return blocksSince_ && now >= *blocksSince_ + limit;
  }
  [[nodiscard]] Clock::Time lastSent() const { return lastSent_; }

  /// No answer of the first two above can change before, unless one of the events comes; nor can
  /// that of blocksStandStill() for either limit, while blocks are due.
  [[nodiscard]] Clock::Time nextCheck(Clock::Time now, Duration limit, Duration longerLimit) const {
    Clock::Time next = lastSent_ + keepAliveEvery_;
    if (waitingSince_) {
      next = std::min(next, *waitingSince_ + silenceLimit_);
    }
    for (const Duration each : {limit, longerLimit}) {
      if (blocksSince_ && now < *blocksSince_ + each) {
        next = std::min(next, *blocksSince_ + each);
      }
    }
    return next;
  }

 private:
  std::chrono::milliseconds keepAliveEvery_;
  std::chrono::milliseconds silenceLimit_;
  Clock::Time lastSent_;
  std::optional<Clock::Time> waitingSince_;  // since when an answer is due and nothing came
  std::optional<Clock::Time> blocksSince_;   // since when a block is due and no part of one came
};

}  // namespace netcow
