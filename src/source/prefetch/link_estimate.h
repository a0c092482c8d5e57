// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace netcow {

/// How much may be asked for ahead at once: enough to keep the way to the server full, and not so
/// much that others wait long behind it.
///
/// It is learnt from the requests themselves. The *delay* is what a small one takes while little
/// else is under way, the *rate* what arrives per second while any is; the shortest and the best
/// of late. limit() is twice their product and a little more: while the limit is what holds the
/// rate back, the product is the limit, so it doubles with every round trip; once the way is full
/// the rate stays, and so does the limit. What queues up in excess never enters the delay, so the
/// limit does not chase its own queue. A delay that was not seen for some seconds may have changed:
/// then little is allowed, until a small request has shown it.
///
/// Not thread-safe.
class LinkEstimate {
 public:
  /// What is always allowed, and what never is exceeded: at most 200 requests of 256 KiB are under
  /// way on a connection, so what is asked for ahead leaves half of them to others.
  static constexpr std::uint64_t kLeastBytes = std::uint64_t{512} << 10U;
  static constexpr std::uint64_t kMostBytes = std::uint64_t{24} << 20U;
  static constexpr std::size_t kMostRequests = 96;
  /// Takes no longer on the way than an empty one.
  static constexpr std::uint64_t kSmallBytes = std::uint64_t{16} << 10U;

  /// One request under way.
  struct Sending {
    Clock::Time at;
    std::uint64_t bytes = 0;
    bool showsDelay = false;
  };

  /// Notes a request. Every one must end, in arrived() or lost().
  [[nodiscard]] Sending send(std::uint64_t bytes, Clock::Time now);
  void arrived(const Sending& sending, Clock::Time now);
  void lost(const Sending& sending, Clock::Time now);

  [[nodiscard]] bool allows(std::uint64_t bytes) const {
    return requests_ < kMostRequests && underWay_ + bytes <= limit();
  }
  /// Whether a small request would show the delay.
  [[nodiscard]] bool isQuiet() const { return underWay_ + kSmallBytes <= kLeastBytes; }
  /// Bytes that may be under way.
  [[nodiscard]] std::uint64_t limit() const;
  [[nodiscard]] double delay() const;                               ///< seconds; 0: not known
  [[nodiscard]] std::size_t requests() const { return requests_; }  ///< under way

 private:
  void learnDelay(const Sending& sending, Clock::Time now);
  void learnRate(Clock::Time now);

  std::uint64_t underWay_ = 0;  // bytes
  std::size_t requests_ = 0;
  double delay_ = 0;         // seconds, the shortest of this period; 0: none yet
  double earlierDelay_ = 0;  // of the one before
  Clock::Time delaysBegan_{};
  Clock::Time delayShown_{};
  bool isStale_ = false;       // the delay was shown, but long ago
  Clock::Time busySince_{};    // while any is under way
  double busy_ = 0;            // seconds before that, and
  std::uint64_t arrived_ = 0;  // bytes, since the rate was measured
  double rate_ = 0;            // bytes per second, the best of this period
  double earlierRate_ = 0;     // of the one before
  Clock::Time periodBegan_{};
};

}  // namespace netcow
