// SPDX-License-Identifier: Apache-2.0
// Measuring servers, and moving to a faster one.
#include <gmock/gmock.h>

#include <atomic>
#include <deque>
#include <map>
#include <numeric>

#include "source/dnbd3/dnbd3_fixture.h"
#include "source/dnbd3/server_prober.h"
#include "support/fake_clock.h"
#include "support/seeded_random.h"

namespace netcow::test {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class Dnbd3SwitchTest : public Dnbd3Fixture {
 protected:
  Dnbd3SwitchTest() {
    options_.timing.probeFirstEvery = milliseconds(4);
    options_.timing.probeLaterEvery = milliseconds(20);
  }
  static bool isUsed(const Source& source, const Server& server) {
    return source.statusText().find("Server:   " + server.host().text() + "\n") !=
           std::string::npos;
  }
  /// Keeps reads under way until `condition` holds; false after a minute or a wrong read.
  static bool readUntil(Source& source, SeededRandom& random,
                        const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + seconds(60);
    std::deque<PendingRead> reads;
    while (!condition() && std::chrono::steady_clock::now() < end) {
      while (reads.size() < 16) {
        const std::uint64_t size = random.between(1, 20'000);
        reads.emplace_back(source, size, random.between(0, kSize - size));
      }
      if (reads.front().wait() != 0 || !reads.front().matches()) {
        return false;
      }
      reads.pop_front();
    }
    const bool isOver = condition();
    for (PendingRead& read : reads) {
      if (read.wait() != 0 || !read.matches()) {
        return false;
      }
    }
    return isOver;
  }
  SeededRandom random_;
};

TEST_F(Dnbd3SwitchTest, MovesToAServerThatIsClearlyFasterWhileReadsGoOn) {
  const auto slow = makeServer({.delay = milliseconds(30)});
  const auto fast = makeServer();
  fast->stop();
  const auto source = connect({slow.get(), fast.get()});
  fast->start();
  EXPECT_TRUE(readUntil(*source, random_, [&] { return isUsed(*source, *fast); }))
      << source->statusText();
  EXPECT_THAT(source->statusText(),
              AllOf(HasSubstr("Switches: 1\n"), HasSubstr("Reconnects: 0\n"),
                    ContainsRegex("Last switch: to .*: it answers in .* ms instead of .* ms\n")));
  EXPECT_TRUE(reads(*source, 300'000, 4096));
}

// Also while many large reads are under way, whose answers the old server has begun to send.
TEST_F(Dnbd3SwitchTest, NothingIsLostOrAnsweredTwiceWhenServersTakeTurns) {
  const Dnbd3Script slow{.delay = milliseconds(20), .reorder = true};
  const Dnbd3Script fast{.reorder = true};
  const auto first = makeServer(slow);
  const auto second = makeServer(fast);
  const auto source = connect({first.get(), second.get()});
  for (int turn = 0; turn < 3; ++turn) {
    const bool firstIsSlow = turn % 2 == 0;
    first->setScript(firstIsSlow ? slow : fast);
    second->setScript(firstIsSlow ? fast : slow);
    ASSERT_TRUE(readUntil(*source, random_, [&] {
      return isUsed(*source, firstIsSlow ? *second : *first);
    })) << source->statusText();
  }
}

TEST_F(Dnbd3SwitchTest, StaysWhereItIsWhenNobodyIsClearlyFaster) {
  const auto first = makeServer({.delay = milliseconds(5)});
  const auto second = makeServer({.delay = milliseconds(5)});
  const auto source = connect({first.get(), second.get()});
  const bool usesFirst = isUsed(*source, *first);
  const auto& other = usesFirst ? *second : *first;
  EXPECT_TRUE(other.waitUntil([](const auto& counts) { return counts.requests >= 8; }))
      << "it is measured";
  // On a busy machine one of them may really be faster for a while, but not for long.
  EXPECT_THAT(source->statusText(), Not(ContainsRegex("Switches: ([4-9]|[0-9][0-9])")));
}

TEST_F(Dnbd3SwitchTest, AServerWithAnotherImageIsNeverMovedTo) {
  const auto slow = makeServer({.delay = milliseconds(20)});
  std::vector<std::unique_ptr<Server>> others;
  others.push_back(makeServer({.revision = 4}));
  others.push_back(makeServer({.size = kSize + 4096}));
  others.push_back(makeServer({.name = "lab/other"}));
  for (const auto& other : others) {
    other->stop();
  }
  const auto source = connect({slow.get(), others[0].get(), others[1].get(), others[2].get()});
  for (const auto& other : others) {
    other->start();
  }
  EXPECT_TRUE(readUntil(*source, random_, [&] {
    return std::all_of(others.begin(), others.end(),
                       [](const auto& other) { return other->counts().selects >= 6; });
  }));
  for (const auto& other : others) {
    EXPECT_EQ(other->counts().requests, 0U);
  }
  EXPECT_TRUE(isUsed(*source, *slow));
}

TEST_F(Dnbd3SwitchTest, StatusTellsWhatIsKnownOfEachServer) {
  const auto first = makeServer();
  const auto gone = makeServer();
  gone->stop();
  const auto source = connect({first.get(), gone.get()});
  const std::string label = "Known server: " + first->host().text();
  const std::string goneLabel = "Known server: " + gone->host().text();
  EXPECT_TRUE(readUntil(*source, random_, [&] {
    const std::string text = source->statusText();
    return testing::Matches(ContainsRegex(label + ", round trip [0-9.]+ ms, failures 0 in a row"))(
               text) &&
           testing::Matches(ContainsRegex(
               goneLabel + ", round trip not measured, failures [0-9]+ in a row, [0-9]+ in all\n"))(
               text) &&
           testing::Matches(ContainsRegex("Round trip: [0-9.]+ ms\n"))(text);
  })) << source->statusText();
}

TEST_F(Dnbd3SwitchTest, LearnsOfServersThatJoinLater) {
  const auto named = makeServer();
  const auto joined = makeServer();
  const auto source = connect({named.get()});
  Dnbd3Script script;
  script.servers = {joined->entry()};
  named->setScript(script);
  EXPECT_TRUE(joined->waitUntil([](const auto& counts) { return counts.requests >= 1; }));
}

// --- when rounds are made ------------------------------------------------------------------

class ServerProberTest : public testing::Test {
 protected:
  /// The pauses between the first rounds.
  static std::vector<seconds::rep> pauses(std::uint64_t seed, int count) {
    FakeClock clock;
    KnownServers servers({milliseconds(1), milliseconds(1)});
    dnbd3::ServerEntry entry;
    entry.type = dnbd3::ServerEntry::kIpv4;
    entry.port = {1, 1};
    servers.add(SocketAddress::from(entry).value(), "alone");
    ServerProber prober(servers, {.wanted = {},
                                  .limit = seconds(1),
                                  .firstEvery = seconds(2),
                                  .laterEvery = seconds(45),
                                  .seed = seed});
    EXPECT_EQ(prober.nextEvent(), Clock::Time::max());
    prober.connected(0, clock.now());
    std::vector<seconds::rep> result;
    for (int i = 0; i < count; ++i) {
      const auto pause = std::chrono::duration_cast<milliseconds>(prober.nextEvent() - clock.now());
      EXPECT_FALSE(prober.advance(clock.now(), 0).began);
      clock.advance(prober.nextEvent() - clock.now());
      EXPECT_TRUE(prober.advance(clock.now(), 0).began);
      result.push_back(pause.count());
    }
    return result;
  }
};

TEST_F(ServerProberTest, TheFirstRoundsFollowEachOtherClosely) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto all = pauses(seed, 10);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const double expected = i < ServerProber::kFirstRounds ? 2000 : 45'000;
      ASSERT_GE(static_cast<double>(all[i]), 0.749 * expected) << i;
      ASSERT_LE(static_cast<double>(all[i]), 1.251 * expected) << i;
    }
  }
}

TEST_F(ServerProberTest, MachinesThatBeginTogetherDoNotMeasureTogether) {
  std::map<seconds::rep, int> rounds;  // by the half second in which the tenth one is made
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto all = pauses(seed, 10);
    ++rounds[std::accumulate(all.begin(), all.end(), seconds::rep{0}) / 500];
  }
  for (const auto& [time, count] : rounds) {
    EXPECT_LT(count, 20) << "of 200 machines";
  }
}

}  // namespace
}  // namespace netcow::test
