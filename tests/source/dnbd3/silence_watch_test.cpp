// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/silence_watch.h"

#include <gtest/gtest.h>

#include "support/fake_clock.h"

namespace netcow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SilenceWatchTest : public testing::Test {
 protected:
  SilenceWatchTest() { watch_.start(clock_.now()); }
  Clock::Time nextCheck() { return watch_.nextCheck(clock_.now(), seconds(1000), seconds(1000)); }
  test::FakeClock clock_;
  SilenceWatch watch_{seconds(10), seconds(13)};
};

TEST_F(SilenceWatchTest, IdleConnectionNeedsAKeepAliveAfterTenSeconds) {
  const auto begin = clock_.now();
  EXPECT_EQ(nextCheck(), begin + seconds(10));
  clock_.advance(milliseconds(9'999));
  EXPECT_FALSE(watch_.keepAliveDue(clock_.now()));
  clock_.advance(milliseconds(1));
  EXPECT_TRUE(watch_.keepAliveDue(clock_.now()));
}

TEST_F(SilenceWatchTest, NothingDueIsNeverSilence) {
  clock_.advance(seconds(3600));
  EXPECT_FALSE(watch_.isDead(clock_.now()));
}

TEST_F(SilenceWatchTest, RequestsTakeThePlaceOfKeepAlives) {
  clock_.advance(seconds(9));
  watch_.sent(clock_.now(), true);
  watch_.received(clock_.now(), true, false);
  clock_.advance(seconds(9));
  EXPECT_FALSE(watch_.keepAliveDue(clock_.now()));
}

TEST_F(SilenceWatchTest, ServerIsDeadThirteenSecondsAfterTheFirstUnansweredRequest) {
  watch_.sent(clock_.now(), true);
  clock_.advance(seconds(5));
  watch_.sent(clock_.now(), true);
  clock_.advance(milliseconds(7'999));
  EXPECT_FALSE(watch_.isDead(clock_.now()));
  clock_.advance(milliseconds(1));
  EXPECT_TRUE(watch_.isDead(clock_.now()));
}

TEST_F(SilenceWatchTest, AnyBytesProveThatTheServerLives) {
  watch_.sent(clock_.now(), true);
  clock_.advance(seconds(12));
  watch_.received(clock_.now(), true, true);
  clock_.advance(seconds(12));
  EXPECT_FALSE(watch_.isDead(clock_.now()));
  clock_.advance(seconds(1));
  EXPECT_TRUE(watch_.isDead(clock_.now()));
}

TEST_F(SilenceWatchTest, UnansweredKeepAliveIsSilenceToo) {
  clock_.advance(seconds(10));
  watch_.sent(clock_.now(), true);
  clock_.advance(seconds(13));
  EXPECT_TRUE(watch_.isDead(clock_.now()));
}

// Who sends does not wake the thread that watches: it must wake up in time by itself.
TEST_F(SilenceWatchTest, SleepingUntilTheNextCheckNeverMissesADeath) {
  const auto wake = nextCheck();
  clock_.advance(milliseconds(1));
  watch_.sent(clock_.now(), true);
  const auto dead = clock_.now() + seconds(13);
  EXPECT_LE(wake, dead);
  clock_.advance(wake - clock_.now());
  EXPECT_LE(nextCheck(), dead);
}

TEST_F(SilenceWatchTest, NewConnectionOwesNothing) {
  watch_.sent(clock_.now(), true);
  clock_.advance(seconds(20));
  watch_.start(clock_.now());
  EXPECT_FALSE(watch_.isDead(clock_.now()));
  EXPECT_FALSE(watch_.keepAliveDue(clock_.now()));
}

TEST_F(SilenceWatchTest, BlocksStandStillWhateverElseIsAnswered) {
  watch_.sent(clock_.now(), true);
  clock_.advance(milliseconds(900));
  watch_.received(clock_.now(), false, true);
  clock_.advance(milliseconds(99));
  EXPECT_FALSE(watch_.blocksStandStill(clock_.now(), seconds(1)));
  clock_.advance(milliseconds(1));
  EXPECT_TRUE(watch_.blocksStandStill(clock_.now(), seconds(1)));
  EXPECT_FALSE(watch_.isDead(clock_.now()));
}

TEST_F(SilenceWatchTest, ASlowStreamNeverStandsStill) {
  watch_.sent(clock_.now(), true);
  for (int i = 0; i < 1000; ++i) {
    clock_.advance(milliseconds(999));
    EXPECT_FALSE(watch_.blocksStandStill(clock_.now(), seconds(1)));
    watch_.received(clock_.now(), true, true);
  }
}

TEST_F(SilenceWatchTest, WithoutBlocksDueNothingStandsStill) {
  watch_.sent(clock_.now(), false);
  clock_.advance(seconds(5));
  EXPECT_FALSE(watch_.blocksStandStill(clock_.now(), seconds(1)));
  watch_.sent(clock_.now(), true);
  clock_.advance(milliseconds(1));
  watch_.received(clock_.now(), true, false);
  clock_.advance(seconds(5));
  EXPECT_FALSE(watch_.blocksStandStill(clock_.now(), seconds(1)));
}

TEST_F(SilenceWatchTest, ALimitThatIsOverIsNotWaitedFor) {
  const auto sent = clock_.now();
  watch_.sent(sent, true);
  EXPECT_EQ(watch_.nextCheck(clock_.now(), seconds(1), seconds(5)), sent + seconds(1));
  clock_.advance(seconds(1));
  EXPECT_EQ(watch_.nextCheck(clock_.now(), seconds(1), seconds(5)), sent + seconds(5));
  clock_.advance(seconds(4));
  EXPECT_EQ(watch_.nextCheck(clock_.now(), seconds(1), seconds(5)), sent + seconds(10));
}

}  // namespace
}  // namespace netcow
