// SPDX-License-Identifier: Apache-2.0
#include "session/dirty_clusters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support/seeded_random.h"

namespace netcow {
namespace {

Clock::Time at(std::uint64_t time) {
  return Clock::Time(Clock::Time::duration(static_cast<std::int64_t>(time)));
}

TEST(DirtyClusters, CountAndGiveWhatAPlainListDoes) {
  test::SeededRandom random;
  DirtyClusters queue;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> list;  // time, cluster
  for (std::uint64_t step = 0; step < 5'000; ++step) {
    const std::uint64_t time = random.between(0, 50);
    const auto isOld = [time](const auto& entry) { return entry.first <= time; };
    switch (random.between(0, 2)) {
      case 0:
        queue.add(step, at(time));
        list.emplace_back(time, step);
        break;
      case 1: {
        const auto oldest = std::min_element(list.begin(), list.end());
        const bool any = oldest != list.end() && isOld(*oldest);
        const auto taken = queue.takeOlderThan(at(time));
        ASSERT_EQ(taken.has_value(), any);
        if (any) {
          EXPECT_EQ(*taken, oldest->second);
          list.erase(oldest);
        }
        break;
      }
      default:
        ASSERT_EQ(queue.countOlderThan(at(time)),
                  static_cast<std::uint64_t>(std::count_if(list.begin(), list.end(), isOld)));
        ASSERT_EQ(queue.countOlderThan(Clock::Time::max()), list.size());
    }
    ASSERT_EQ(queue.size(), list.size());
  }
}

}  // namespace
}  // namespace netcow
