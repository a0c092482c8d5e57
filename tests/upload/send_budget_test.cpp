// SPDX-License-Identifier: Apache-2.0
#include "upload/send_budget.h"

#include <gtest/gtest.h>

#include "support/fake_clock.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;
using test::FakeClock;

/// What can be taken in `time`, looking every millisecond.
std::uint64_t takenIn(std::chrono::milliseconds time, SendBudget& budget, FakeClock& clock) {
  std::uint64_t bytes = 0;
  for (std::chrono::milliseconds passed{0}; passed < time; passed += 1ms) {
    for (std::size_t portion = budget.takePortion(); portion > 0; portion = budget.takePortion()) {
      bytes += portion;
    }
    clock.advance(1ms);
  }
  return bytes;
}

TEST(SendBudget, GivesWhatItsRateAllows) {
  for (const std::uint64_t rate :
       {std::uint64_t{4096}, std::uint64_t{1} << 20U, std::uint64_t{1} << 30U}) {
    FakeClock clock;
    SendBudget budget(rate, clock);
    const std::uint64_t taken = takenIn(10s, budget, clock);
    EXPECT_GE(taken, rate * 99 / 10) << rate;
    EXPECT_LE(taken, rate * 102 / 10) << rate;
  }
}

TEST(SendBudget, SavesUpNoMoreThanATenthOfASecond) {
  FakeClock clock;
  SendBudget budget(1'000'000, clock);
  clock.advance(1h);
  EXPECT_LE(takenIn(1ms, budget, clock), 200'000U);
}

TEST(SendBudget, TellsWhenTheNextPortionIsDue) {
  FakeClock clock;
  SendBudget budget(4096, clock);
  EXPECT_EQ(budget.takePortion(), 1024U);
  EXPECT_EQ(budget.takePortion(), 0U);
  EXPECT_EQ(budget.nextPortion(), clock.now() + 250ms);
  clock.advance(250ms);
  EXPECT_EQ(budget.takePortion(), 1024U);
}

TEST(SendBudget, MayHaveNoLimit) {
  const FakeClock clock;
  EXPECT_FALSE(SendBudget(std::nullopt, clock).limited());
}

}  // namespace
}  // namespace netcow
