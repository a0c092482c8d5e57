// SPDX-License-Identifier: Apache-2.0
// Servers that mean harm: what they send is dropped with their connection, another server is used,
// and memory does not grow with what they say.
#include <gmock/gmock.h>

#include <fstream>

#include "source/dnbd3/dnbd3_fixture.h"
#include "support/seeded_random.h"

namespace netcow::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using Fault = Dnbd3Script::Fault;
using Select = Dnbd3Script::Select;

/// The most memory this process ever used, in KiB.
std::uint64_t mostMemory() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == "VmHWM:") {
      std::uint64_t kib = 0;
      status >> kib;
      return kib;
    }
  }
  return 0;
}

struct Hostility {
  const char* name;
  Fault fault;
};

class Dnbd3HostileTest : public Dnbd3Fixture, public testing::WithParamInterface<Hostility> {};

TEST_P(Dnbd3HostileTest, IsLeftForAnotherServer) {
  const std::uint64_t before = mostMemory();
  const auto hostile = makeServer({.fault = GetParam().fault, .faultEvery = 1});
  const auto good = makeServer();
  good->stop();
  const auto source = connect({hostile.get(), good.get()});
  PendingRead read(*source, 300'000, 12'345);
  ASSERT_TRUE(hostile->waitUntil([](const auto& counts) { return counts.connections >= 3; }))
      << "each of its connections is dropped";
  good->start();
  EXPECT_EQ(read.wait(), 0);
  EXPECT_TRUE(read.matches());
  EXPECT_THAT(source->statusText(), HasSubstr(good->host().text()));
  EXPECT_LT(mostMemory(), before + 64 * 1024);
}

INSTANTIATE_TEST_SUITE_P(Every, Dnbd3HostileTest,
                         testing::Values(Hostility{"EndlessPayload", Fault::endlessPayload},
                                         Hostility{"EndlessReplies", Fault::endlessReplies},
                                         Hostility{"EndlessServers", Fault::endlessServers},
                                         Hostility{"UnknownCommand", Fault::unknownCommand},
                                         Hostility{"UnknownHandle", Fault::unknownHandle},
                                         Hostility{"TooLong", Fault::tooLong},
                                         Hostility{"TooShort", Fault::tooShort},
                                         Hostility{"WrongMagic", Fault::wrongMagic}),
                         [](const auto& test) { return std::string(test.param.name); });

class Dnbd3HostileSelectTest : public Dnbd3Fixture {};

TEST_F(Dnbd3HostileSelectTest, AnEndlessAnswerIsNotWaitedFor) {
  const auto endless = makeServer({.select = Select::endless});
  const auto good = makeServer();
  const auto source = connect({endless.get(), good.get()});
  EXPECT_TRUE(reads(*source, 4096, 0));
  EXPECT_EQ(endless->counts().requests, 0U);
}

TEST_F(Dnbd3HostileSelectTest, AServerThatComesBackWithAnotherImageIsNotReadFrom) {
  for (Dnbd3Script script : {Dnbd3Script{.revision = 4}, Dnbd3Script{.size = kSize - 4096},
                             Dnbd3Script{.name = "lab/other"}, Dnbd3Script{.size = 0},
                             Dnbd3Script{.select = Select::endless}}) {
    const auto server = makeServer();
    const auto source = connect({server.get()});
    EXPECT_TRUE(reads(*source, 4096, 0));
    const auto before = server->counts();
    server->setScript(script);
    server->cutConnections();
    PendingRead read(*source, 4096, 8192);
    ASSERT_TRUE(server->waitUntil(
        [&](const auto& counts) { return counts.selects >= before.selects + 3; }));
    EXPECT_EQ(server->counts().requests, before.requests);
    server->setScript({});
    server->cutConnections();
    EXPECT_EQ(read.wait(), 0);
    EXPECT_TRUE(read.matches());
  }
}

TEST_F(Dnbd3HostileSelectTest, NonsenseAboutOtherServersHarmsNobody) {
  SeededRandom random;
  Dnbd3Script script;
  for (int i = 0; i < 40; ++i) {
    dnbd3::ServerEntry entry;
    for (auto& byte : entry.address) {
      byte = static_cast<std::uint8_t>(random.between(0, 255));
    }
    entry.port = {static_cast<std::uint8_t>(random.between(0, 255)),
                  static_cast<std::uint8_t>(random.between(0, 255))};
    // Addresses of no kind; the other half are addresses in a network where nobody is.
    entry.type = static_cast<std::uint8_t>(random.between(11, 255));
    if (random.oneIn(2)) {
      entry.type = dnbd3::ServerEntry::kIpv4;
      entry.address = {127, 255, 255, 254};
    }
    script.servers.push_back(entry);
  }
  options_.timing.probeFirstEvery = milliseconds(5);
  options_.timing.probeLaterEvery = milliseconds(5);
  const auto server = makeServer(script);
  const auto source = connect({server.get()});
  EXPECT_TRUE(server->waitUntil([](const auto& counts) { return counts.serverAsks >= 10; }));
  EXPECT_TRUE(reads(*source, 300'000, 4096));
  EXPECT_THAT(source->statusText(), HasSubstr("Switches: 0\n"));
}

}  // namespace
}  // namespace netcow::test
