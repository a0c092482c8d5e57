// SPDX-License-Identifier: Apache-2.0
#include "base/progress_meter.h"

#include <gmock/gmock.h>

namespace netcow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::EndsWith;
using testing::StartsWith;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

class ProgressMeterTest : public testing::Test {
 protected:
  void after(milliseconds time, std::uint64_t done) {
    now_ += time;
    meter_.note(done, now_);
  }
  Clock::Time now_{seconds(1'000)};
  ProgressMeter meter_{1'000 * kMiB, now_};
};

TEST_F(ProgressMeterTest, KnowsNoRateBeforeAnythingMoved) {
  after(milliseconds(100), 0);
  EXPECT_EQ(meter_.bytesPerSecond(), 0);
  EXPECT_FALSE(meter_.timeLeft());
  EXPECT_EQ(meter_.text(), "0 %, 0 bytes of 1000.0 MiB, 0 bytes/s");
}

TEST_F(ProgressMeterTest, TellsRateAndTimeLeft) {
  after(seconds(2), 200 * kMiB);
  EXPECT_EQ(meter_.bytesPerSecond(), 100.0 * kMiB);
  EXPECT_EQ(meter_.timeLeft(), seconds(8));
  EXPECT_EQ(meter_.text(), "20 %, 200.0 MiB of 1000.0 MiB, 100.0 MiB/s, 0:08 left");
}

TEST_F(ProgressMeterTest, GoesByTheLastTenSeconds) {
  after(seconds(1), 500 * kMiB);
  for (std::uint64_t i = 1; i <= 12; ++i) {
    after(seconds(1), (500 + i) * kMiB);
  }
  EXPECT_EQ(meter_.bytesPerSecond(), 1.0 * kMiB);
  EXPECT_EQ(meter_.timeLeft(), seconds(488));
}

TEST_F(ProgressMeterTest, SaysWhenNothingComes) {
  after(seconds(1), kMiB);
  after(seconds(4), kMiB);
  EXPECT_THAT(meter_.text(), EndsWith("left"));
  after(seconds(3), kMiB);
  EXPECT_EQ(meter_.standstill(), seconds(7));
  EXPECT_THAT(meter_.text(), EndsWith(", nothing moved for 0:07"));
  after(seconds(1), 2 * kMiB);
  EXPECT_THAT(meter_.text(), EndsWith("left"));
}

TEST_F(ProgressMeterTest, CallsOnlyAllHundredPercent) {
  after(seconds(1), 1'000 * kMiB - 1);
  EXPECT_THAT(meter_.text(), StartsWith("99 %"));
  after(seconds(1), 1'000 * kMiB);
  EXPECT_THAT(meter_.text(), StartsWith("100 %"));
}

TEST_F(ProgressMeterTest, DrawsABarThatFitsTheTerminal) {
  after(seconds(1), 500 * kMiB);
  EXPECT_EQ(meter_.bar(200).substr(0, 43), "[====================>                   ] ");
  EXPECT_THAT(meter_.bar(200), EndsWith(meter_.text()));
  for (std::size_t width = 0; width < 130; ++width) {
    EXPECT_LE(meter_.bar(width).size(), width);
  }
  after(seconds(1), 1'000 * kMiB);
  EXPECT_THAT(meter_.bar(200), StartsWith("[========================================] "));
}

TEST_F(ProgressMeterTest, ShowsNothingOfWhatWasInVain) {
  after(seconds(1), 100 * kMiB);
  after(seconds(1), 40 * kMiB);
  EXPECT_THAT(meter_.text(), StartsWith("10 %, 100.0 MiB of"));
  after(seconds(7), 60 * kMiB);
  EXPECT_THAT(meter_.text(), EndsWith(", nothing moved for 0:08"));
  after(seconds(1), 110 * kMiB);
  EXPECT_THAT(meter_.text(), StartsWith("11 %, 110.0 MiB of"));
}

TEST_F(ProgressMeterTest, GoesOnWhenThereIsMoreToDoOrLess) {
  after(seconds(1), 100 * kMiB);
  meter_.setTotal(200 * kMiB);
  EXPECT_THAT(meter_.text(), StartsWith("50 %, 100.0 MiB of 200.0 MiB"));
  EXPECT_EQ(meter_.timeLeft(), seconds(1));
  meter_.setTotal(50 * kMiB);
  EXPECT_THAT(meter_.text(), StartsWith("100 %"));
  EXPECT_EQ(meter_.timeLeft(), seconds(0));
}

TEST(ProgressMeterOfNothing, IsDone) {
  const ProgressMeter meter(0, Clock::Time{});
  EXPECT_EQ(meter.text(), "100 %, 0 bytes of 0 bytes, 0 bytes/s");
}

TEST(DurationTextTest, ReadsAsAClock) {
  EXPECT_EQ(durationText(seconds(0)), "0:00");
  EXPECT_EQ(durationText(seconds(754)), "12:34");
  EXPECT_EQ(durationText(seconds(3'723)), "1:02:03");
}

TEST(SizeTextTest, HasOneDigitBehindThePoint) {
  EXPECT_EQ(sizeText(1'023), "1023 bytes");
  EXPECT_EQ(sizeText(1'536), "1.5 KiB");
  EXPECT_EQ(sizeText(2.5 * 1024 * 1024 * 1024), "2.5 GiB");
  EXPECT_EQ(sizeText(1.0e16), "9094.9 TiB");
}

}  // namespace
}  // namespace netcow
