// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <cerrno>
#include <list>

#include "source/dnbd3/dnbd3_fixture.h"

namespace netcow::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using Fault = Dnbd3Script::Fault;

using Dnbd3FailoverTest = Dnbd3Fixture;

TEST_F(Dnbd3FailoverTest, ReadsWaitForAServerToComeBack) {
  const auto server = makeServer();
  const auto source = connect({server.get()});
  EXPECT_TRUE(reads(*source, 4096, 0));
  server->stop();
  std::list<PendingRead> pending;
  for (std::uint64_t i = 0; i < 300; ++i) {
    pending.emplace_back(*source, 4096, i * 4096);
  }
  server->start();
  for (auto& read : pending) {
    EXPECT_EQ(read.wait(), 0);
    EXPECT_TRUE(read.matches());
  }
  EXPECT_THAT(source->statusText(), HasSubstr("Reconnects: 1\n"));
}

TEST_F(Dnbd3FailoverTest, AnotherHostTakesOver) {
  const auto first = makeServer();
  const auto second = makeServer();
  second->stop();
  const auto source = connect({first.get(), second.get()});
  second->start();
  first->stop();
  EXPECT_TRUE(reads(*source, 4096, 4096));
  EXPECT_THAT(source->statusText(), HasSubstr(second->host().text()));
}

TEST_F(Dnbd3FailoverTest, LearnedServerTakesOver) {
  const auto learned = makeServer();
  Dnbd3Script script;
  script.servers = {dnbd3::ServerEntry{}, learned->entry()};
  const auto named = makeServer(script);
  const auto source = connect({named.get()});
  // The answer to GET_SERVERS is in when that to a later read is.
  ASSERT_TRUE(named->waitUntil([](const auto& counts) { return counts.serverAsks == 1; }));
  EXPECT_TRUE(reads(*source, 4096, 0));
  named->stop();
  EXPECT_TRUE(reads(*source, 4096, 4096));
  EXPECT_THAT(source->statusText(), HasSubstr(learned->host().text()));
}

TEST_F(Dnbd3FailoverTest, NeverReadsFromAServerWithAnotherImage) {
  const auto first = makeServer();
  std::vector<std::unique_ptr<Server>> others;
  others.push_back(makeServer({.revision = 4}));
  others.push_back(makeServer({.size = kSize + 4096}));
  others.push_back(makeServer({.name = "lab/other"}));
  options_.hosts.clear();
  for (const auto& other : others) {
    other->stop();
  }
  const auto source = connect({first.get(), others[0].get(), others[1].get(), others[2].get()});
  for (const auto& other : others) {
    other->start();
  }
  first->stop();
  PendingRead read(*source, 4096, 0);
  for (const auto& other : others) {
    EXPECT_TRUE(other->waitUntil([](const auto& counts) { return counts.selects >= 2; }));
    EXPECT_EQ(other->counts().requests, 0U);
  }
  first->start();
  EXPECT_EQ(read.wait(), 0);
  EXPECT_TRUE(read.matches());
}

TEST_F(Dnbd3FailoverTest, SilentServerIsGivenUp) {
  options_.timing.keepAliveEvery = milliseconds(20);
  options_.timing.silenceLimit = milliseconds(50);
  Dnbd3Script script;
  script.silent = true;
  const auto server = makeServer(script);
  const auto source = connect({server.get()});
  PendingRead read(*source, 4096, 0);
  ASSERT_TRUE(server->waitUntil([](const auto& counts) { return counts.connections >= 2; }));
  server->setScript({});
  EXPECT_EQ(read.wait(), 0);
  EXPECT_TRUE(read.matches());
}

TEST_F(Dnbd3FailoverTest, ServerThatAnswersNoKeepAliveIsGivenUp) {
  options_.timing.keepAliveEvery = milliseconds(20);
  options_.timing.silenceLimit = milliseconds(50);
  options_.learnServers = false;
  Dnbd3Script script;
  script.answersKeepAlive = false;
  const auto server = makeServer(script);
  const auto source = connect({server.get()});
  EXPECT_TRUE(server->waitUntil([](const auto& counts) { return counts.connections >= 2; }));
}

// Whatever a server does wrong, the read ends with the right bytes from a new connection.
struct Misbehaviour {
  const char* name;
  Dnbd3Script script;
};

class Dnbd3MisbehaviourTest : public Dnbd3Fixture,
                              public testing::WithParamInterface<Misbehaviour> {};

TEST_P(Dnbd3MisbehaviourTest, IsHealedByANewConnection) {
  const auto server = makeServer(GetParam().script);
  const auto source = connect({server.get()});
  for (std::uint64_t i = 0; i < 10; ++i) {
    EXPECT_TRUE(reads(*source, 4096, i * 8192));
    EXPECT_TRUE(reads(*source, 300'000, i * 8192));
  }
  EXPECT_GE(server->counts().connections, 2U);
}

INSTANTIATE_TEST_SUITE_P(
    Every, Dnbd3MisbehaviourTest,
    testing::Values(Misbehaviour{"CutBeforeReplies", {.cutBefore = 5}},
                    Misbehaviour{"CutInsideReplies", {.cutInside = 5}},
                    Misbehaviour{"WrongMagic", {.fault = Fault::wrongMagic, .faultEvery = 5}},
                    Misbehaviour{"UnknownHandle", {.fault = Fault::unknownHandle, .faultEvery = 5}},
                    Misbehaviour{"TooLong", {.fault = Fault::tooLong, .faultEvery = 5}},
                    Misbehaviour{"TooShort", {.fault = Fault::tooShort, .faultEvery = 5}},
                    Misbehaviour{"AnsweredTwice", {.fault = Fault::twice, .faultEvery = 5}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_F(Dnbd3FailoverTest, ServerThatNeverSendsABlockLosesToOneThatDoes) {
  // It is as fast as the other, but always cuts at this block.
  const auto bad = makeServer({.cutBefore = 1});
  const auto good = makeServer();
  good->stop();
  const auto source = connect({bad.get(), good.get()});
  PendingRead read(*source, 4096, 0);
  ASSERT_TRUE(bad->waitUntil([](const auto& counts) { return counts.replies >= 2; }));
  good->start();
  EXPECT_EQ(read.wait(), 0);
  EXPECT_TRUE(read.matches());
}

TEST_F(Dnbd3FailoverTest, RefusedBlockComesFromAnotherServer) {
  Dnbd3Script script;
  script.refuses = [](std::uint64_t offset) { return offset == 8192; };
  const auto first = makeServer(script);
  const auto second = makeServer();
  second->stop();
  const auto source = connect({first.get(), second.get()});
  second->start();
  EXPECT_TRUE(reads(*source, 4096, 0));
  EXPECT_EQ(second->counts().requests, 0U);
  EXPECT_TRUE(reads(*source, 4096, 8192));
  EXPECT_EQ(second->counts().requests, 1U);
}

TEST_F(Dnbd3FailoverTest, BlockThatAllRefuseIsEioAndTheRestGoesOn) {
  Dnbd3Script script;
  script.refuses = [](std::uint64_t offset) { return offset == 8192; };
  const auto first = makeServer(script);
  const auto second = makeServer(script);
  const auto source = connect({first.get(), second.get()});
  EXPECT_EQ(PendingRead(*source, 4096, 8192).wait(), EIO);
  EXPECT_TRUE(reads(*source, 4096, 0));
  EXPECT_EQ(first->counts().requests + second->counts().requests, 3U)
      << "each was asked for the bad block once";
}

TEST_F(Dnbd3FailoverTest, BlockThatTheOnlyServerRefusesIsEioAndTheConnectionStays) {
  Dnbd3Script script;
  script.refuses = [](std::uint64_t offset) { return offset == 8192; };
  const auto server = makeServer(script);
  const auto source = connect({server.get()});
  EXPECT_EQ(PendingRead(*source, 4096, 8192).wait(), EIO);
  EXPECT_TRUE(reads(*source, 4096, 0));
  EXPECT_EQ(server->counts().connections, 1U);
}

TEST_F(Dnbd3FailoverTest, ReadsGoOnWhileAnotherServerIsSearchedInVain) {
  options_.timing.connectLimit = std::chrono::hours(1);
  Dnbd3Script script;
  script.refuses = [](std::uint64_t offset) { return offset == 8192; };
  const auto first = makeServer(script);
  const auto silent = makeServer({.select = Dnbd3Script::Select::staySilent});
  silent->stop();
  const auto source = connect({first.get(), silent.get()});
  silent->start();
  PendingRead refused(*source, 4096, 8192);
  ASSERT_TRUE(silent->waitUntil([](const auto& counts) { return counts.selects == 1; }));
  EXPECT_TRUE(reads(*source, 4096, 0));
  source->stop();
  EXPECT_EQ(refused.wait(), EIO);
}

}  // namespace
}  // namespace netcow::test
