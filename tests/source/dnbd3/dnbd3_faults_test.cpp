// SPDX-License-Identifier: Apache-2.0
// A source behind a network that delays, cuts, hangs, garbles order or goes away.
#include <chrono>

#include "source/dnbd3/proxied_fixture.h"
#include "support/seeded_random.h"

namespace netcow::test {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

class Dnbd3Faults : public ProxiedFixture {
 protected:
  /// Many reads at once, of any size and place, each compared. Cuts the connections through `cut`
  /// now and then: by what has come, not by the time, so that a busy machine gets on too.
  testing::AssertionResult readsAtRandom(Source& source, int rounds, FaultProxy* cut = nullptr) {
    SeededRandom random;
    constexpr int kAtOnce = 64;
    for (int round = 0; round < rounds; ++round) {
      const std::uint64_t carried = cut != nullptr ? cut->counts().toClient : 0;
      std::vector<PendingRead> reads;
      for (int i = 0; i < kAtOnce; ++i) {
        const std::uint64_t size = random.between(1, 128 * 1024);
        reads.emplace_back(source, size, random.between(0, kSize - size));
      }
      if (cut != nullptr) {
        cutSomewhere(*cut, carried, random);
      }
      for (PendingRead& read : reads) {
        const int error = read.wait();
        if (error != 0 || !read.matches()) {
          return testing::AssertionFailure()
                 << (error != 0 ? "error " + std::to_string(error) : "wrong bytes") << "\n"
                 << source.statusText();
        }
      }
    }
    return testing::AssertionSuccess();
  }

 private:
  /// Behind what was `carried`: before an answer, in the middle of one, or behind one.
  static void cutSomewhere(FaultProxy& proxy, std::uint64_t carried, SeededRandom& random) {
    for (std::uint64_t cuts = random.between(1, 3); cuts > 0; --cuts) {
      carried += random.between(0, 500 * 1024);
      EXPECT_TRUE(
          proxy.waitUntil([&](const FaultProxy::Counts& now) { return now.toClient >= carried; }));
      proxy.cut();
    }
  }
};

TEST_F(Dnbd3Faults, ADelayIsAddedToEveryRoundTrip) {
  const auto server = makeServer();
  FaultProxy proxy(server->port(), {.delay = milliseconds(10)});
  const auto source = connectThrough({&proxy});
  const auto begin = SteadyClock::now();
  EXPECT_TRUE(reads(*source, 4096, 0));
  EXPECT_GE(SteadyClock::now() - begin, milliseconds(20));
}

TEST_F(Dnbd3Faults, ALimitedRateIsKept) {
  const auto server = makeServer();
  FaultProxy proxy(server->port(), {.bytesPerSecond = 40'000'000});
  const auto source = connectThrough({&proxy});
  const auto begin = SteadyClock::now();
  EXPECT_TRUE(reads(*source, 8'000'000, 0));
  EXPECT_GE(SteadyClock::now() - begin, milliseconds(190));
}

TEST_F(Dnbd3Faults, ConnectionsThatAreCutAllTheTimeLoseNothing) {
  const auto server = makeServer();
  FaultProxy proxy(server->port());
  const auto source = connectThrough({&proxy});
  EXPECT_TRUE(readsAtRandom(*source, 40, &proxy));
  EXPECT_GT(proxy.counts().cuts, 20U);
}

TEST_F(Dnbd3Faults, RepliesThatAreCutInTheMiddleAreAskedForAgain) {
  const auto server = makeServer();
  FaultProxy proxy(server->port(), {.cutAfterBytes = 3'000'001});
  const auto source = connectThrough({&proxy});
  EXPECT_TRUE(readsAtRandom(*source, 10));
  EXPECT_GT(proxy.counts().cuts, 2U);
}

TEST_F(Dnbd3Faults, RepliesInAnyOrderFindTheirReads) {
  const auto server = makeServer();
  FaultProxy proxy(server->port(), {.delay = milliseconds(1), .reorder = true});
  const auto source = connectThrough({&proxy});
  EXPECT_TRUE(readsAtRandom(*source, 40));
  EXPECT_EQ(proxy.counts().connections, 1U);
}

TEST_F(Dnbd3Faults, AServerThatHangsAndGoesOnAnswersItsReads) {
  const auto server = makeServer();
  FaultProxy proxy(server->port());
  const auto source = connectThrough({&proxy});
  proxy.setFaults({.silent = true});
  const auto before = proxy.counts();
  PendingRead read(*source, 100'000, 4096);
  ASSERT_TRUE(proxy.waitUntil(
      [&](const FaultProxy::Counts& now) { return now.fromClient > before.fromClient; }));
  EXPECT_EQ(proxy.counts().toClient, before.toClient);
  proxy.setFaults({});
  EXPECT_EQ(read.wait(), 0);
  EXPECT_TRUE(read.matches());
}

TEST_F(Dnbd3Faults, WhenAServerDiesTheNextAnswersAtOnce) {
  const auto server = makeServer();
  FaultProxy first(server->port());
  FaultProxy second(server->port());
  const auto both = connectThrough({&first, &second});
  EXPECT_TRUE(reads(*both, 4096, 0));
  FaultProxy& used = reads(*both, first) ? first : second;
  const auto begin = SteadyClock::now();
  used.setFaults({.down = true});
  ASSERT_TRUE(used.waitUntil([](const FaultProxy::Counts& counts) { return counts.cuts > 0; }));
  EXPECT_TRUE(reads(*both, 4096, 8192));
  EXPECT_LT(SteadyClock::now() - begin, milliseconds(1500));
}

TEST_F(Dnbd3Faults, WhenAllServersAreAwayReadsWaitForOneToReturn) {
  const auto server = makeServer();
  FaultProxy first(server->port());
  FaultProxy second(server->port());
  const auto source = connectThrough({&first, &second});
  FaultProxy& used = reads(*source, first) ? first : second;
  first.setFaults({.down = true});
  second.setFaults({.down = true});
  PendingRead read(*source, 300'000, 12'345);
  ASSERT_TRUE(used.waitUntil([](const FaultProxy::Counts& counts) { return counts.cuts > 0; }));
  second.setFaults({});
  EXPECT_EQ(read.wait(), 0);
  EXPECT_TRUE(read.matches());
}

}  // namespace
}  // namespace netcow::test
