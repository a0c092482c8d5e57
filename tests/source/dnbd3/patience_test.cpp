// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/patience.h"

#include <gtest/gtest.h>

namespace netcow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class PatienceTest : public testing::Test {
 protected:
  Patience patience_{seconds(1), seconds(13), seconds(300)};
};

TEST_F(PatienceTest, LateIsASecondOrFiveRoundTrips) {
  EXPECT_EQ(patience_.lateAfter(std::nullopt), seconds(1));
  EXPECT_EQ(patience_.lateAfter(milliseconds(199)), seconds(1));
  EXPECT_EQ(patience_.lateAfter(milliseconds(300)), milliseconds(1500));
  EXPECT_EQ(patience_.lateAfter(seconds(60)), seconds(13)) << "a dead server is not waited for";
}

TEST_F(PatienceTest, ServersThatAreAllLateGetMoreTimeUntilOneAnswers) {
  patience_.moved();
  patience_.moved();
  EXPECT_EQ(patience_.lateAfter(std::nullopt), seconds(4));
  for (int i = 0; i < 100; ++i) {
    patience_.moved();
  }
  EXPECT_EQ(patience_.lateAfter(seconds(5)), seconds(13));
  patience_.gotBlocks();
  EXPECT_EQ(patience_.lateAfter(std::nullopt), seconds(1));
}

TEST_F(PatienceTest, ABlockThatNobodyGivesIsAskedForLessAndLessOften) {
  EXPECT_EQ(patience_.blockLimit(), seconds(13));
  patience_.gaveUp();
  EXPECT_EQ(patience_.blockLimit(), seconds(26));
  for (int i = 0; i < 100; ++i) {
    patience_.gaveUp();
  }
  EXPECT_EQ(patience_.blockLimit(), seconds(300));
  patience_.gotBlocks();
  EXPECT_EQ(patience_.blockLimit(), seconds(300)) << "others come all the time";
  patience_.gotAll();
  EXPECT_EQ(patience_.blockLimit(), seconds(13));
}

}  // namespace
}  // namespace netcow
