// SPDX-License-Identifier: Apache-2.0
#include "upload/jitter.h"

#include <gtest/gtest.h>

#include <set>

#include "support/seeded_random.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;

TEST(Jitter, StaysBetweenHalfAndOneAndAHalf) {
  const test::SeededRandom random;
  const Jitter jitter = Jitter::seeded(random.seed());
  std::chrono::milliseconds sum{0};
  for (int i = 0; i < 1'000; ++i) {
    const auto wait = jitter.around(8s);
    ASSERT_GE(wait, 4s);
    ASSERT_LE(wait, 12s);
    sum += wait;
  }
  EXPECT_NEAR(static_cast<double>(sum.count()), 8e6, 8e5) << "as long on average";
}

TEST(Jitter, NeverShortensAPauseAskedFor) {
  const test::SeededRandom random;
  const Jitter jitter = Jitter::seeded(random.seed());
  for (int i = 0; i < 1'000; ++i) {
    const auto pause = jitter.atLeast(60s);
    ASSERT_GE(pause, 60s);
    ASSERT_LE(pause, 75s);
  }
}

TEST(Jitter, SpreadsALabOfMachinesWhoseServerFailedAtOneMoment) {
  const test::SeededRandom random;
  constexpr int kMachines = 200;
  std::multiset<std::chrono::milliseconds> fifthTry;
  for (std::uint64_t machine = 0; machine < kMachines; ++machine) {
    const Jitter jitter = Jitter::seeded(random.seed() + machine);
    std::chrono::milliseconds time{0};
    for (const auto wait : {1s, 2s, 4s, 8s, 8s}) {
      time += jitter.around(wait);
    }
    fifthTry.insert(time);
  }
  // In step, all of them would come within one second.
  for (const auto time : fifthTry) {
    const auto end = fifthTry.upper_bound(time + 1s);
    EXPECT_LT(std::distance(fifthTry.lower_bound(time), end), kMachines / 4);
  }
}

TEST(Jitter, IsTheSameForTheSameSeed) {
  const Jitter one = Jitter::seeded(7);
  const Jitter same = Jitter::seeded(7);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(one.around(8s), same.around(8s));
  }
}

}  // namespace
}  // namespace netcow
