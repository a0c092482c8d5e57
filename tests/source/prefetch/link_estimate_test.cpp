// SPDX-License-Identifier: Apache-2.0
#include "source/prefetch/link_estimate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "support/fake_clock.h"

namespace netcow::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A way of a fixed rate and delay that always has as much to carry as the estimate allows.
class Way {
 public:
  Way(double bytesPerSecond, std::chrono::nanoseconds delay) { change(bytesPerSecond, delay); }
  void change(double bytesPerSecond, std::chrono::nanoseconds delay) {
    rate_ = bytesPerSecond;
    delay_ = delay;
  }
  /// Returns the bytes that arrived.
  std::uint64_t runFor(std::chrono::nanoseconds time) {
    const Clock::Time end = clock_.now() + time;
    std::uint64_t arrived = 0;
    for (;;) {
      if (estimate.isQuiet() || sent_++ % 16 == 0) {
        send(4096);
      }
      while (estimate.allows(kPiece)) {
        send(kPiece);
      }
      if (queue_.empty() || queue_.front().due > end) {
        clock_.advance(end - clock_.now());
        return arrived;
      }
      clock_.advance(std::max(queue_.front().due - clock_.now(), std::chrono::nanoseconds(0)));
      arrived += queue_.front().sending.bytes;
      estimate.arrived(queue_.front().sending, clock_.now());
      queue_.pop_front();
    }
  }
  LinkEstimate estimate;

 private:
  static constexpr std::uint64_t kPiece = std::uint64_t{256} << 10U;
  struct Answer {
    Clock::Time due;
    LinkEstimate::Sending sending;
  };
  void send(std::uint64_t bytes) {
    const auto onTheWay = std::chrono::nanoseconds(
        static_cast<std::int64_t>(1e9 * static_cast<double>(bytes) / rate_));
    free_ = std::max(free_, clock_.now()) + onTheWay;
    queue_.push_back({free_ + delay_, estimate.send(bytes, clock_.now())});
  }
  FakeClock clock_;
  double rate_ = 0;
  std::chrono::nanoseconds delay_{0};
  Clock::Time free_{};
  std::deque<Answer> queue_;
  unsigned sent_ = 0;
};

TEST(LinkEstimate, AllowsALittleBeforeAnythingIsKnown) {
  const LinkEstimate estimate;
  EXPECT_EQ(estimate.limit(), LinkEstimate::kLeastBytes);
  EXPECT_EQ(estimate.delay(), 0);
}

TEST(LinkEstimate, FillsALongWayWithinASecond) {
  Way way(400e6, milliseconds(20));
  way.runFor(seconds(1));
  const std::uint64_t carried = way.runFor(seconds(1));
  EXPECT_GT(carried, 380'000'000U);
  EXPECT_NEAR(way.estimate.delay(), 0.020, 0.002);
}

TEST(LinkEstimate, KeepsTheQueueShortHoweverLongItRuns) {
  for (const double rate : {10e6, 100e6}) {
    Way way(rate, milliseconds(10));
    way.runFor(seconds(60));
    const double product = rate * 0.010;
    // A small request may have had a large one before it when it showed the delay.
    EXPECT_LT(static_cast<double>(way.estimate.limit()),
              3 * static_cast<double>(LinkEstimate::kLeastBytes) + 2 * product);
    EXPECT_GT(static_cast<double>(way.runFor(seconds(1))), 0.95 * rate);
  }
}

TEST(LinkEstimate, StaysSmallOnAShortWay) {
  Way way(1e9, microseconds(50));
  way.runFor(seconds(2));
  EXPECT_LT(way.estimate.limit(), 2 * LinkEstimate::kLeastBytes);
}

TEST(LinkEstimate, NeverExceedsWhatItSays) {
  Way way(5e9, milliseconds(100));
  way.runFor(seconds(5));
  EXPECT_EQ(way.estimate.limit(), LinkEstimate::kMostBytes);
  EXPECT_LE(way.estimate.requests(), LinkEstimate::kMostRequests);
}

TEST(LinkEstimate, FollowsWhenAnotherServerIsFartherOrNearer) {
  Way way(200e6, milliseconds(2));
  way.runFor(seconds(10));
  way.change(200e6, milliseconds(40));
  way.runFor(seconds(20));
  EXPECT_GT(way.runFor(seconds(1)), 180'000'000U);
  way.change(200e6, milliseconds(2));
  way.runFor(seconds(10));
  EXPECT_LT(way.estimate.limit(), std::uint64_t{2} << 20U);
  EXPECT_GT(way.runFor(seconds(1)), 180'000'000U);
}

}  // namespace
}  // namespace netcow::test
