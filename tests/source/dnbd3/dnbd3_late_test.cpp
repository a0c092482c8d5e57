// SPDX-License-Identifier: Apache-2.0
// Servers that hang, are slow, or keep a block back.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "source/dnbd3/proxied_fixture.h"

namespace netcow::test {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

class Dnbd3Late : public ProxiedFixture {
 protected:
  // Connections are counted: none is to be made for measuring, however long a busy machine takes.
  Dnbd3Late() { options_.timing.probeFirstEvery = std::chrono::hours(1); }

  static bool waitUntil(const std::function<bool()>& condition) {
    const auto end = SteadyClock::now() + std::chrono::seconds(60);
    while (!condition() && SteadyClock::now() < end) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    return condition();
  }
  /// Reads small blocks until `condition` holds; false after a minute, or when one fails.
  static bool readUntil(Source& source, const std::function<bool()>& condition) {
    const auto end = SteadyClock::now() + std::chrono::seconds(60);
    std::uint64_t offset = 0;
    while (!condition()) {
      offset = (offset + 4096) % (kSize / 2);
      if (!reads(source, 4096, offset) || SteadyClock::now() > end) {
        return false;
      }
    }
    return true;
  }
};

// The best of a few times counts: whatever else the machine does only adds to it.
TEST_F(Dnbd3Late, WhenAServerHangsTheNextOneAnswersSoon) {
  const auto server = makeServer();
  FaultProxy first(server->port());
  FaultProxy second(server->port());
  const auto source = connectToFirst(first, second);
  EXPECT_TRUE(reads(*source, 4096, 0));
  auto best = SteadyClock::duration::max();
  for (std::uint64_t round = 1; round <= 3; ++round) {
    FaultProxy& hung = reads(*source, first) ? first : second;
    hung.setFaults({.silent = true});
    const auto begin = SteadyClock::now();
    EXPECT_TRUE(reads(*source, 4096, round * 8192));
    best = std::min(best, SteadyClock::now() - begin);
    EXPECT_FALSE(reads(*source, hung));
    hung.setFaults({});
  }
  EXPECT_LT(best, milliseconds(1500));
  EXPECT_TRUE(tells(*source, "Reconnects: 0\n")) << source->statusText();
}

// The connection hangs after a pause in which nothing was read, and its user is fast asleep.
TEST_F(Dnbd3Late, AServerThatHungWhileNothingWasReadIsFoundOutAsSoon) {
  options_.timing.lateAfter = milliseconds(100);
  const auto server = makeServer();
  FaultProxy first(server->port());
  FaultProxy second(server->port());
  const auto source = connectToFirst(first, second);
  EXPECT_TRUE(reads(*source, 4096, 0));
  first.setFaults({.silent = true});
  // Longer than the receiver goes on looking by itself.
  std::this_thread::sleep_for(milliseconds(350));
  EXPECT_TRUE(reads(*source, 4096, 8192));
  EXPECT_TRUE(reads(*source, second));
}

TEST_F(Dnbd3Late, AServerThatStopsInTheMiddleOfAReplyIsLeft) {
  options_.timing.lateAfter = milliseconds(100);
  const auto server = makeServer();
  FaultProxy first(server->port());
  FaultProxy second(server->port());
  const auto source = connectToFirst(first, second);
  EXPECT_TRUE(reads(*source, 4096, 0));
  first.setFaults({.silentAfterBytes = 300'000});
  PendingRead read(*source, 5'000'000, 12'345);
  EXPECT_EQ(read.wait(), 0);
  EXPECT_TRUE(read.matches());
  EXPECT_TRUE(reads(*source, second));
}

TEST_F(Dnbd3Late, IfTheOldServerAnswersFirstItGoesOn) {
  options_.timing.lateAfter = milliseconds(20);
  const auto server = makeServer();
  FaultProxy first(server->port());
  FaultProxy second(server->port());
  const auto source = connectToFirst(first, second);
  // The second takes connections and says nothing.
  second.setFaults({.silent = true});
  EXPECT_TRUE(reads(*source, 4096, 0));
  first.setFaults({.silent = true});
  PendingRead read(*source, 100'000, 4096);
  ASSERT_TRUE(second.waitUntil([](const FaultProxy::Counts& now) { return now.connections >= 1; }));
  EXPECT_TRUE(waitUntil([&] {
    return tells(*source, "State:    connected, but it does not answer; trying others\n");
  })) << source->statusText();
  first.setFaults({});
  EXPECT_EQ(read.wait(), 0);
  EXPECT_TRUE(read.matches());
  EXPECT_TRUE(reads(*source, first));
  EXPECT_EQ(first.counts().connections, 1U);
  EXPECT_TRUE(tells(*source, "Switches: 0\n"));
}

TEST_F(Dnbd3Late, AServerThatGivesNoBlockEitherDoesNotTakeOver) {
  options_.timing.lateAfter = milliseconds(20);
  const auto good = makeServer();
  const auto hung = makeServer({.withholds = [](std::uint64_t) { return true; }});
  FaultProxy first(good->port());
  FaultProxy second(hung->port());
  const auto source = connectToFirst(first, second);
  EXPECT_TRUE(reads(*source, 4096, 0));
  first.setFaults({.silent = true});
  PendingRead read(*source, 4096, 4096);
  ASSERT_TRUE(hung->waitUntil([](const auto& counts) { return counts.requests >= 1; }));
  first.setFaults({});
  EXPECT_EQ(read.wait(), 0);
  EXPECT_TRUE(tells(*source, "Switches: 0\n")) << source->statusText();
}

// More is asked for than the link carries in the time after which a server is late.
TEST_F(Dnbd3Late, ASlowServerThatStreamsSteadilyIsNotLate) {
  const auto server = makeServer();
  FaultProxy first(server->port(), {.bytesPerSecond = 1'000'000});
  FaultProxy second(server->port());
  const auto source = connectToFirst(first, second);
  PendingRead read(*source, 1'200'000, 4096);
  EXPECT_EQ(read.wait(), 0);
  EXPECT_TRUE(read.matches());
  EXPECT_EQ(second.counts().connections, 0U) << source->statusText();
}

TEST_F(Dnbd3Late, AServerThatAnswersNothingButKeepAlivesIsGivenUp) {
  options_.timing.keepAliveEvery = milliseconds(20);
  options_.timing.silenceLimit = milliseconds(200);
  const auto server = makeServer({.withholds = [](std::uint64_t) { return true; }});
  const auto source = connect({server.get()});
  PendingRead read(*source, 4096, 0);
  ASSERT_TRUE(server->waitUntil([](const auto& counts) { return counts.connections >= 2; }));
  EXPECT_GT(server->counts().keepAlives, 0U);
  server->setScript({});
  EXPECT_EQ(read.wait(), 0);
  EXPECT_TRUE(read.matches());
}

// One block is never answered, everything else is.
TEST_F(Dnbd3Late, AnotherServerGivesTheBlockThatOneKeepsBack) {
  options_.timing.silenceLimit = milliseconds(200);
  options_.timing.keepAliveEvery = milliseconds(100);
  const auto isLost = [](std::uint64_t offset) { return offset == kSize - 4096; };
  const auto first = makeServer({.withholds = isLost});
  const auto second = makeServer();
  second->stop();
  const auto source = connect({first.get(), second.get()});
  second->start();
  PendingRead lost(*source, 4096, kSize - 4096);
  std::atomic<bool> isDone = false;
  std::jthread waiting([&] {
    EXPECT_EQ(lost.wait(), 0);
    isDone = true;
  });
  EXPECT_TRUE(readUntil(*source, [&] { return isDone.load(); }));
  EXPECT_TRUE(lost.matches());
  EXPECT_EQ(second->counts().connections, 1U) << "the connection that was tried is used";
}

TEST_F(Dnbd3Late, WithoutAnotherServerABlockThatIsKeptBackIsAskedForAgain) {
  options_.timing.silenceLimit = milliseconds(200);
  options_.timing.keepAliveEvery = milliseconds(100);
  const auto isLost = [](std::uint64_t offset) { return offset == kSize - 4096; };
  const auto server = makeServer({.withholds = isLost});
  const auto source = connect({server.get()});
  PendingRead lost(*source, 4096, kSize - 4096);
  EXPECT_TRUE(readUntil(*source, [&] { return server->counts().connections >= 2; }));
  server->setScript({});
  EXPECT_EQ(lost.wait(), 0);
  EXPECT_TRUE(lost.matches());
}

}  // namespace
}  // namespace netcow::test
