// SPDX-License-Identifier: Apache-2.0
#include "mount/killed_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace netcow {
namespace {

TEST(KilledProcess, IsToldByAPendingSignal9) {
  EXPECT_TRUE(showsPendingKill("Name:\tdd\nSigQ:\t1/2\nSigPnd:\t0000000000000100\n"));
  EXPECT_TRUE(showsPendingKill("Name:\tdd\nSigPnd:\t0\nShdPnd:\t0000000000000102\n"));
}

TEST(KilledProcess, IsNotToldByOtherSignals) {
  EXPECT_FALSE(
      showsPendingKill("Name:\tdd\nSigPnd:\t0000000000004000\nShdPnd:\t00000000000000ff\n"));
  EXPECT_FALSE(showsPendingKill("Name:\tdd\nSigBlk:\t0000000000000100\n"));
  EXPECT_FALSE(showsPendingKill(""));
}

TEST(KilledProcess, IsNeitherThisOneNorOneThatDoesNotExist) {
  EXPECT_FALSE(isBeingKilled(::getpid()));
  EXPECT_FALSE(isBeingKilled(0));
}

}  // namespace
}  // namespace netcow
