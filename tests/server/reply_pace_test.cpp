// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/reply_pace.h"

#include <gtest/gtest.h>

#include "support/fake_clock.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;

TEST(ReplyPace, DropsAClientBelowTheLeastRateOnly) {
  test::FakeClock clock;
  ReplyPace enough;
  ReplyPace tooLittle;
  for (int i = 0; i < 60; ++i) {
    enough.waiting(clock.now(), 1000);
    tooLittle.waiting(clock.now(), 999);
    EXPECT_FALSE(tooLittle.isTooSlow(clock.now(), 60s));
    clock.advance(1s);
  }
  EXPECT_FALSE(enough.isTooSlow(clock.now(), 60s));
  EXPECT_TRUE(tooLittle.isTooSlow(clock.now(), 60s));
}

TEST(ReplyPace, CountsEachPeriodForItself) {
  test::FakeClock clock;
  ReplyPace pace;
  pace.waiting(clock.now(), 1'000'000'000);
  clock.advance(60s);
  EXPECT_FALSE(pace.isTooSlow(clock.now(), 60s));
  clock.advance(60s);
  EXPECT_TRUE(pace.isTooSlow(clock.now(), 60s));
}

TEST(ReplyPace, AsksNothingOfAClientThatHasAll) {
  test::FakeClock clock;
  ReplyPace pace;
  EXPECT_FALSE(pace.isTooSlow(clock.now(), 60s));
  pace.waiting(clock.now(), 0);
  clock.advance(59s);
  pace.notWaiting();
  clock.advance(3600s);
  EXPECT_FALSE(pace.isTooSlow(clock.now(), 60s));
  pace.waiting(clock.now(), 0);  // a time of its own
  clock.advance(59s);
  EXPECT_FALSE(pace.isTooSlow(clock.now(), 60s));
}

}  // namespace
}  // namespace netcow
