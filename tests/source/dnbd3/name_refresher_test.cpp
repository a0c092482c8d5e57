// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/name_refresher.h"

#include <gtest/gtest.h>

#include <thread>

#include "support/fake_clock.h"

namespace netcow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class NameRefresherTest : public testing::Test {
 protected:
  /// What is found out when the look-up that begins now has ended.
  static std::vector<ResolvedHost> lookUp(NameRefresher& names, Clock::Time now) {
    std::vector<ResolvedHost> answers = names.advance(now);
    // The machine's own resolver works by its own time.
    const auto end = std::chrono::steady_clock::now() + seconds(60);
    while (answers.empty() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(milliseconds(1));
      answers = names.advance(now);
    }
    return answers;
  }
  test::FakeClock clock_;
};

TEST_F(NameRefresherTest, LooksNamesUpAgainAfterAWhileAndThenNowAndThen) {
  NameRefresher names({{"localhost", 5003}, {"127.0.0.1", 5003}}, seconds(10), seconds(30));
  EXPECT_EQ(names.nextEvent(clock_.now()), Clock::Time::max());
  names.begin(clock_.now());
  EXPECT_EQ(names.nextEvent(clock_.now()), clock_.now() + seconds(10));
  EXPECT_TRUE(names.advance(clock_.now()).empty());
  for (int i = 0; i < 3; ++i) {
    clock_.advance(names.nextEvent(clock_.now()) - clock_.now());
    const auto answers = lookUp(names, clock_.now());
    ASSERT_EQ(answers.size(), 1U) << "an address need not be looked up";
    EXPECT_EQ(answers[0].host.name, "localhost");
    EXPECT_FALSE(answers[0].addresses.empty());
    EXPECT_EQ(names.nextEvent(clock_.now()), clock_.now() + seconds(30));
  }
}

TEST_F(NameRefresherTest, StopsWhenAServerIsThere) {
  NameRefresher names({{"localhost", 5003}}, seconds(10), seconds(30));
  names.begin(clock_.now());
  names.end();
  clock_.advance(seconds(100));
  EXPECT_EQ(names.nextEvent(clock_.now()), Clock::Time::max());
  EXPECT_TRUE(names.advance(clock_.now()).empty());
}

TEST_F(NameRefresherTest, AddsOnlyAddressesThatAreNew) {
  KnownServers servers({milliseconds(1), milliseconds(1)});
  const auto resolved = resolveHosts({{"127.0.0.1", 5003}}, seconds(1));
  EXPECT_EQ(addServers(servers, resolved[0]), 1U);
  EXPECT_EQ(addServers(servers, resolved[0]), 0U);
  EXPECT_EQ(servers.label(0), "127.0.0.1:5003");
}

}  // namespace
}  // namespace netcow
