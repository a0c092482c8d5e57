// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace netcow {

/// Whether a client takes its replies fast enough: as long as some wait for it, a least rate on the
/// whole of each period. Messages that it sends meanwhile are no excuse. For one thread at a time.
class ReplyPace {
 public:
  /// Clients give up an upload below 1 000 bytes/s by themselves.
  static constexpr std::uint64_t kLeastBytesPerSecond = 1000;

  /// Replies wait for the client, which took `bytes` of them since the last call.
  void waiting(Clock::Time now, std::uint64_t bytes) {
    began_ = began_.value_or(now);
    taken_ += bytes;
  }
  /// Nothing waits for the client: all is taken, or it is the disk that holds it up.
  void notWaiting() {
    began_.reset();
    taken_ = 0;
  }
  /// Asked now and then; begins the next period when one is over.
  [[nodiscard]] bool isTooSlow(Clock::Time now, std::chrono::milliseconds period) {
    if (!began_ || now - *began_ < period) {
      return false;
    }
    const std::chrono::duration<double> elapsed = now - *began_;
    const bool tooSlow =
        static_cast<double>(taken_) < elapsed.count() * static_cast<double>(kLeastBytesPerSecond);
    began_ = now;
    taken_ = 0;
    return tooSlow;
  }

 private:
  std::optional<Clock::Time> began_;  ///< of the period; none while nothing waits
  std::uint64_t taken_ = 0;           ///< since then
};

}  // namespace netcow
