// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <cerrno>
#include <list>

#include "source/dnbd3/dnbd3_fixture.h"

namespace netcow::test {
namespace {

using std::chrono::milliseconds;

using Dnbd3ReadTest = Dnbd3Fixture;

TEST_F(Dnbd3ReadTest, ReadsAnySizeAtAnyPlace) {
  const auto server = makeServer();
  const auto source = connect({server.get()});
  EXPECT_TRUE(reads(*source, 4096, 0));
  EXPECT_TRUE(reads(*source, 1, kSize - 1));
  EXPECT_TRUE(reads(*source, 12'345, 67));
  EXPECT_TRUE(reads(*source, 5'000'000, 1'234'567));
}

TEST_F(Dnbd3ReadTest, NothingIsReadAtOnce) {
  const auto server = makeServer();
  const auto source = connect({server.get()});
  int answered = 0;
  source->read({}, kSize, [&](std::error_code error) { answered += error ? 100 : 1; });
  EXPECT_EQ(answered, 1);
}

TEST_F(Dnbd3ReadTest, RefusesRangesOutsideTheImage) {
  const auto server = makeServer();
  const auto source = connect({server.get()});
  EXPECT_EQ(PendingRead(*source, 4096, kSize - 4095).wait(), EINVAL);
  EXPECT_EQ(PendingRead(*source, 1, ~std::uint64_t{0}).wait(), EINVAL);
}

TEST_F(Dnbd3ReadTest, KeepsToTheLimitsOfProxies) {
  Dnbd3Script script;
  script.silent = true;
  const auto server = makeServer(script);
  const auto source = connect({server.get()});
  std::list<PendingRead> pending;
  pending.emplace_back(*source, 60U << 20U, 0);
  for (std::uint64_t i = 0; i < 300; ++i) {
    pending.emplace_back(*source, 4096, i * 4096);
  }
  ASSERT_TRUE(server->waitUntil([](const auto& counts) { return counts.requests == 200; }));
  server->setScript({});
  server->cutConnections();
  for (auto& read : pending) {
    EXPECT_EQ(read.wait(), 0);
    EXPECT_TRUE(read.matches());
  }
  EXPECT_EQ(server->counts().mostPending, 200U);
  EXPECT_EQ(server->counts().largest, 256U << 10U);
}

TEST_F(Dnbd3ReadTest, TakesRepliesInAnyOrder) {
  Dnbd3Script script;
  script.reorder = true;
  script.delay = milliseconds(2);
  const auto server = makeServer(script);
  const auto source = connect({server.get()});
  std::list<PendingRead> pending;
  for (std::uint64_t i = 0; i < 500; ++i) {
    pending.emplace_back(*source, 1 + i * 37 % 9000, i * 100'003);
  }
  for (auto& read : pending) {
    EXPECT_EQ(read.wait(), 0);
    EXPECT_TRUE(read.matches());
  }
}

TEST_F(Dnbd3ReadTest, CompletionMayReadAgain) {
  const auto server = makeServer();
  const auto source = connect({server.get()});
  std::vector<std::byte> buffer(4096);
  std::promise<int> ended;
  int left = 100;
  std::function<void(std::error_code)> next = [&](std::error_code error) {
    if (error || !matchesPattern(buffer, 4096) || --left == 0) {
      ended.set_value(left);
    } else {
      source->read(buffer, 4096, [&](std::error_code code) { next(code); });
    }
  };
  source->read(buffer, 4096, [&](std::error_code code) { next(code); });
  EXPECT_EQ(ended.get_future().get(), 0);
}

TEST_F(Dnbd3ReadTest, StopAnswersEverythingWithEio) {
  Dnbd3Script script;
  script.silent = true;
  const auto server = makeServer(script);
  const auto source = connect({server.get()});
  std::list<PendingRead> pending;
  pending.emplace_back(*source, 60U << 20U, 0);
  for (std::uint64_t i = 0; i < 300; ++i) {
    pending.emplace_back(*source, 4096, i * 4096);
  }
  source->stop();
  for (auto& read : pending) {
    EXPECT_EQ(read.wait(), EIO);
  }
  EXPECT_EQ(PendingRead(*source, 4096, 0).wait(), EIO);
  source->stop();
}

TEST_F(Dnbd3ReadTest, StopEndsAWaitForServersToComeBack) {
  const auto server = makeServer();
  const auto source = connect({server.get()});
  server->stop();
  PendingRead read(*source, 4096, 0);
  source->stop();
  EXPECT_EQ(read.wait(), EIO);
}

TEST_F(Dnbd3ReadTest, StopEndsAWaitForASilentHandshake) {
  options_.timing.connectLimit = std::chrono::hours(1);
  const auto server = makeServer();
  const auto source = connect({server.get()});
  server->setScript({.select = Dnbd3Script::Select::staySilent});
  server->cutConnections();
  ASSERT_TRUE(server->waitUntil([](const auto& counts) { return counts.selects == 2; }));
  PendingRead read(*source, 4096, 0);
  source->stop();
  EXPECT_EQ(read.wait(), EIO);
}

TEST_F(Dnbd3ReadTest, KeepAlivesLeaveByThemselves) {
  options_.timing.keepAliveEvery = milliseconds(5);
  const auto server = makeServer();
  const auto source = connect({server.get()});
  EXPECT_TRUE(server->waitUntil([](const auto& counts) { return counts.keepAlives >= 5; }));
  EXPECT_EQ(server->counts().connections, 1U) << "they are answered, so the server is not silent";
}

}  // namespace
}  // namespace netcow::test
