// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/fake_clock.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;
using test::FakeClock;
using testing::ElementsAre;
using testing::IsEmpty;

class Schedule : public testing::Test {
 protected:
  /// Starts as many uploads as may start, at most `most`.
  int startAll(int most = 100) {
    int count = 0;
    while (count < most && schedule.mayStart()) {
      schedule.started();
      ++count;
    }
    return count;
  }

  FakeClock clock;
  UploadSchedule schedule{UploadRules{}, clock, Jitter([] { return 0.5; })};
};

TEST_F(Schedule, StartsTwoAtATimeWhileMountedAndTenAfter) {
  EXPECT_EQ(startAll(), 2);
  schedule.beginFinalPass();
  EXPECT_EQ(startAll(), 8);
  schedule.arrived(1);
  EXPECT_EQ(startAll(), 1);
}

TEST_F(Schedule, WantsChangesToBeAMinuteOldWhileMounted) {
  EXPECT_EQ(schedule.newestDue(), clock.now() - 60s);
  schedule.beginFinalPass();
  EXPECT_EQ(schedule.newestDue(), Clock::Time::max());
}

TEST_F(Schedule, WakesWhenTheOldestClusterIsOldEnough) {
  EXPECT_EQ(schedule.wakeAt(std::nullopt), std::nullopt);
  EXPECT_EQ(schedule.wakeAt(clock.now() - 20s), clock.now() + 40s);
}

TEST_F(Schedule, SleepsUntilAnUploadEndsWhenAllPlacesAreTaken) {
  startAll();
  EXPECT_EQ(schedule.wakeAt(clock.now() - 100s), std::nullopt);
}

TEST_F(Schedule, PausesWhenAsked) {
  schedule.pause(40s);
  EXPECT_FALSE(schedule.mayStart());
  EXPECT_EQ(schedule.wakeAt(clock.now() - 100s), clock.now() + 45s) << "an eighth more";
  clock.advance(44s);
  EXPECT_FALSE(schedule.mayStart());
  clock.advance(1s);
  EXPECT_TRUE(schedule.mayStart());
}

TEST_F(Schedule, NeverShortensAPause) {
  schedule.pause(30s);
  schedule.pause(5s);
  clock.advance(10s);
  EXPECT_FALSE(schedule.mayStart());
}

TEST_F(Schedule, KeepsAPauseInTheFinalPass) {
  schedule.pause(30s);
  schedule.beginFinalPass();
  EXPECT_FALSE(schedule.mayStart());
}

TEST_F(Schedule, DoesNotTakeAPauseForAFailure) {
  schedule.started();
  schedule.sentBack();
  EXPECT_EQ(schedule.inFlight(), 0U);
  EXPECT_EQ(schedule.waiting(), 0U);
  EXPECT_TRUE(schedule.mayStart());
}

TEST_F(Schedule, TriesAFailedClusterAgainAfterAMinuteWhileMounted) {
  schedule.started();
  schedule.failed(7);
  EXPECT_EQ(schedule.wakeAt(std::nullopt), clock.now() + 60s);
  clock.advance(59s);
  EXPECT_THAT(schedule.takeWaited(), IsEmpty());
  clock.advance(1s);
  EXPECT_THAT(schedule.takeWaited(), ElementsAre(7));
  EXPECT_EQ(schedule.waiting(), 0U);
}

TEST_F(Schedule, TriesEverythingThatFailedAgainAtOnceAfterUnmount) {
  schedule.started();
  schedule.started();
  schedule.failed(7);
  schedule.failed(8);
  schedule.beginFinalPass();
  EXPECT_THAT(schedule.takeWaited(), ElementsAre(7, 8));
  EXPECT_TRUE(schedule.mayStart());
}

TEST_F(Schedule, WaitsLongerAfterEachFailureInTheFinalPass) {
  schedule.beginFinalPass();
  for (const auto wait : {1s, 2s, 4s, 8s, 8s}) {
    schedule.started();
    schedule.failed(7);
    clock.advance(wait - 1ms);
    EXPECT_THAT(schedule.takeWaited(), IsEmpty());
    clock.advance(1ms);
    EXPECT_THAT(schedule.takeWaited(), ElementsAre(7));
  }
  schedule.started();
  schedule.arrived(7);
  schedule.started();
  schedule.failed(7);
  clock.advance(1s);
  EXPECT_THAT(schedule.takeWaited(), ElementsAre(7)) << "a success begins anew";
}

TEST_F(Schedule, AsksADeadServerOncePerRound) {
  schedule.beginFinalPass();
  for (const auto wait : {1s, 2s, 4s, 8s, 8s}) {
    ASSERT_EQ(startAll(), 10);
    for (std::uint64_t cluster = 0; cluster < 10; ++cluster) {
      schedule.failed(cluster);
    }
    EXPECT_FALSE(schedule.mayStart());
    clock.advance(wait - 1ms);
    EXPECT_FALSE(schedule.mayStart());
    clock.advance(1ms);
  }
}

TEST_F(Schedule, LetsOthersGoOnWhenOneClusterFails) {
  schedule.started();
  schedule.failed(7);
  clock.advance(1s);
  EXPECT_TRUE(schedule.mayStart());
  EXPECT_EQ(schedule.waiting(), 1U);
}

TEST_F(Schedule, SendsNoMoreAtATimeThanALimitFeeds) {
  for (const auto& [limit, places] :
       std::vector<std::pair<std::uint64_t, int>>{{4096, 1}, {3 * 4096, 3}, {1 << 30, 10}}) {
    UploadRules rules;
    rules.bytesPerSecond = limit;
    UploadSchedule limited(rules, clock, Jitter([] { return 0.5; }));
    limited.beginFinalPass();
    int started = 0;
    for (; limited.mayStart(); ++started) {
      limited.started();
    }
    EXPECT_EQ(started, places) << limit;
  }
}

TEST_F(Schedule, StartsNothingOnceStopped) {
  schedule.stop();
  EXPECT_FALSE(schedule.mayStart());
  EXPECT_EQ(schedule.wakeAt(clock.now() - 100s), std::nullopt);
}

TEST_F(Schedule, GivesBackWhatWaitsWithoutHavingFailed) {
  schedule.defer(9);
  EXPECT_TRUE(schedule.mayStart());
  EXPECT_THAT(schedule.takeWaited(), IsEmpty());
  EXPECT_THAT(schedule.takeWaited(/*everything=*/true), ElementsAre(9));
}

}  // namespace
}  // namespace netcow
