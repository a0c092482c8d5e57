// SPDX-License-Identifier: Apache-2.0
#include "source/prefetch/link_estimate.h"

#include <algorithm>
#include <chrono>

namespace netcow {
namespace {

constexpr std::chrono::seconds kPeriod(1);       // for rates
constexpr std::chrono::seconds kDelayPeriod(2);  // long: the machine may be busy meanwhile
constexpr std::chrono::seconds kDelayLife(8);
/// Rates over less than this, or than a delay, say more about bursts. In seconds.
constexpr double kShortestMeasure = 0.005;
constexpr double kShortestDelay = 1e-6;  // an answer from memory takes no time

double secondsBetween(Clock::Time from, Clock::Time to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

LinkEstimate::Sending LinkEstimate::send(std::uint64_t bytes, Clock::Time now) {
  if (requests_ == 0) {
    busySince_ = now;
  }
  underWay_ += bytes;
  ++requests_;
  isStale_ = delayShown_ != Clock::Time{} && now - delayShown_ > kDelayLife;
  return {now, bytes, bytes <= kSmallBytes && underWay_ <= kLeastBytes};
}

void LinkEstimate::lost(const Sending& sending, Clock::Time now) {
  underWay_ -= sending.bytes;
  --requests_;
  if (requests_ == 0) {
    busy_ += secondsBetween(busySince_, now);
    busySince_ = now;
  }
}

void LinkEstimate::arrived(const Sending& sending, Clock::Time now) {
  lost(sending, now);
  arrived_ += sending.bytes;
  learnDelay(sending, now);
  learnRate(now);
}

void LinkEstimate::learnDelay(const Sending& sending, Clock::Time now) {
  const double seconds = std::max(kShortestDelay, secondsBetween(sending.at, now));
  if (sending.showsDelay) {
    if (now - delaysBegan_ > kDelayPeriod) {
      delaysBegan_ = now;
      earlierDelay_ = isStale_ ? 0 : delay_;
      delay_ = 0;
    }
    delayShown_ = now;
    isStale_ = false;
  }
  // What does not show the delay is still no shorter.
  const double known = sending.showsDelay ? delay_ : delay();
  if (known == 0 || seconds < known) {
    delay_ = seconds;
  }
}

double LinkEstimate::delay() const {
  return delay_ > 0 && earlierDelay_ > 0 ? std::min(delay_, earlierDelay_)
                                         : std::max(delay_, earlierDelay_);
}

void LinkEstimate::learnRate(Clock::Time now) {
  const double seconds = busy_ + secondsBetween(busySince_, now);
  if (seconds < std::max(kShortestMeasure, delay())) {
    return;
  }
  const double rate = static_cast<double>(arrived_) / seconds;
  busy_ = 0;
  busySince_ = now;
  arrived_ = 0;
  if (now - periodBegan_ > kPeriod) {
    periodBegan_ = now;
    earlierRate_ = rate_;
    rate_ = 0;
  }
  rate_ = std::max(rate_, rate);
}

std::uint64_t LinkEstimate::limit() const {
  if (isStale_) {
    return kLeastBytes;
  }
  const double product = std::max(rate_, earlierRate_) * delay();
  const double extra = std::min(2 * product, static_cast<double>(kMostBytes - kLeastBytes));
  return kLeastBytes + static_cast<std::uint64_t>(extra);
}

}  // namespace netcow
