// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/clock.h"
#include "source/dnbd3/round_trip.h"

namespace netcow {

/// How long a server may keep a block back before others are asked. Rules only; not thread-safe.
///
/// Both limits double each time they were of no use, so that servers which are all slow are not
/// left for each other before they can answer.
class Patience {
 public:
  using Duration = Clock::Time::duration;
  /// A late server is one that is silent for so many round trips.
  static constexpr int kRoundTrips = 5;

  /// `lateAfter`: the least for lateAfter(); `blockLimit`: the first of blockLimit(), and the most
  /// for lateAfter(); `longestBlockLimit`: the last.
  Patience(std::chrono::milliseconds lateAfter, std::chrono::milliseconds blockLimit,
           std::chrono::milliseconds longestBlockLimit)
      : least_(lateAfter), blockLimit_(blockLimit), longest_(longestBlockLimit) {}

  /// When blocks are due and nothing of them comes for so long, other servers are tried too.
  [[nodiscard]] Duration lateAfter(std::optional<RoundTrip::Time> roundTrip) const {
    const Duration base = std::max(least_, kRoundTrips * Duration(roundTrip.value_or(Duration(0))));
    return std::min(base * (1U << moves_), blockLimit_);
  }
  /// A server that gives other blocks, or answers KEEPALIVE, is given up for one it keeps back so
  /// long.
  [[nodiscard]] Duration blockLimit() const {
    return std::min(blockLimit_ * (1U << giveUps_), longest_);
  }

  /// Another server took over from a late one.
  void moved() { moves_ = std::min(moves_ + 1, kMostDoublings); }
  /// A server was given up because of the block limit.
  void gaveUp() { giveUps_ = std::min(giveUps_ + 1, kMostDoublings); }
  /// Blocks are coming.
  void gotBlocks() { moves_ = 0; }
  /// No block is due any more.
  void gotAll() { giveUps_ = 0; }

 private:
  static constexpr unsigned kMostDoublings = 10;
  Duration least_;
  Duration blockLimit_;
  Duration longest_;
  unsigned moves_ = 0;    // since a block came
  unsigned giveUps_ = 0;  // since no block was due
};

}  // namespace netcow
