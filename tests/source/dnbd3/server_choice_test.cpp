// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/server_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "support/fake_clock.h"
#include "support/seeded_cases.h"

namespace netcow {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::SeededRandom;

/// Some servers, and rounds as a ServerProber makes them: soon while undecided, else rarely.
class Rounds {
 public:
  explicit Rounds(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      dnbd3::ServerEntry entry;
      entry.type = dnbd3::ServerEntry::kIpv4;
      entry.address = {10, 0, 0, static_cast<std::uint8_t>(i)};
      entry.port = {1, 1};
      servers_.add(SocketAddress::from(entry).value(), "server");
    }
  }
  /// One round; a time below zero: the server did not answer.
  void run(const std::vector<double>& times) {
    std::vector<ServerChoice::Measured> measured;
    for (std::size_t i = 0; i < times.size(); ++i) {
      if (times[i] >= 0) {
        const RoundTrip::Time time(static_cast<std::int64_t>(times[i] * 1e6));
        servers_.answered(i, time);
        measured.push_back({i, time});
      }
    }
    if (const auto best = choice_.judge(servers_, current_, measured, clock_.now())) {
      current_ = *best;
      ++moves_;
    }
    clock_.advance(choice_.isUndecided() ? seconds(2) : seconds(45));
  }
  void run(int rounds, const std::vector<double>& times) {
    for (int i = 0; i < rounds; ++i) {
      run(times);
    }
  }
  [[nodiscard]] std::size_t current() const { return current_; }
  [[nodiscard]] int moves() const { return moves_; }
  [[nodiscard]] Clock::Time now() const { return clock_.now(); }
  ServerChoice& choice() { return choice_; }

 private:
  test::FakeClock clock_;
  KnownServers servers_{{milliseconds(100), milliseconds(2000)}};
  ServerChoice choice_;
  std::size_t current_ = 0;
  int moves_ = 0;
};

TEST(ServerChoice, ClearlyFasterIsAQuarterAndAMillisecondOrEightyMilliseconds) {
  const auto isFaster = [](double one, double other) {
    return ServerChoice::isClearlyFaster(RoundTrip::Time(static_cast<std::int64_t>(one * 1e6)),
                                         RoundTrip::Time(static_cast<std::int64_t>(other * 1e6)));
  };
  EXPECT_TRUE(isFaster(3, 4));
  EXPECT_FALSE(isFaster(3.1, 4));
  EXPECT_FALSE(isFaster(0.1, 1)) << "less than a millisecond";
  EXPECT_TRUE(isFaster(920, 1000));
  EXPECT_FALSE(isFaster(921, 1000));
  EXPECT_FALSE(isFaster(4, 3));
}

TEST(ServerChoice, MovesAfterThreeRoundsInARow) {
  Rounds rounds(2);
  rounds.run(2, {10, 5});
  EXPECT_EQ(rounds.current(), 0U);
  rounds.run({10, 5});
  EXPECT_EQ(rounds.current(), 1U);
}

TEST(ServerChoice, OneSlowRoundBeginsTheCountAnew) {
  Rounds rounds(2);
  rounds.run(2, {10, 5});
  rounds.run({10, 9});
  rounds.run(2, {10, 5});
  EXPECT_EQ(rounds.current(), 0U);
}

TEST(ServerChoice, ARoundThatMeasuredOnlyOneOfThemDecidesNothing) {
  Rounds rounds(2);
  rounds.run(2, {10, 5});
  rounds.run({-1, 5});
  EXPECT_EQ(rounds.moves(), 0);
  rounds.run(2, {10, 5});
  rounds.run({10, -1});
  EXPECT_EQ(rounds.moves(), 0);
}

TEST(ServerChoice, TakesTheFastest) {
  Rounds rounds(4);
  rounds.run(3, {50, 20, 10, 30});
  EXPECT_EQ(rounds.current(), 2U);
}

TEST(ServerChoice, AServerThatFailsNeedsMoreRounds) {
  Rounds rounds(2);
  rounds.choice().failed(1, rounds.now());
  rounds.run(5, {10, 5});
  EXPECT_EQ(rounds.current(), 0U);
  rounds.run({10, 5});
  EXPECT_EQ(rounds.current(), 1U);
}

TEST(ServerChoice, AFailureLongAgoIsForgiven) {
  Rounds rounds(2);
  rounds.choice().failed(1, rounds.now());
  const auto end = rounds.now() + ServerChoice::kQuiet;
  while (rounds.now() < end) {
    rounds.run({10, 10});
  }
  rounds.run(4, {10, 1});
  EXPECT_EQ(rounds.current(), 1U);
}

/// A day of measurements: next() gives the round trips of a round.
int movesOfADay(Rounds& rounds, const std::function<std::vector<double>()>& next) {
  const auto end = rounds.now() + hours(24);
  while (rounds.now() < end) {
    rounds.run(next());
  }
  return rounds.moves();
}

/// The logarithm of a round trip wanders, and each measurement is off by chance.
class Walk {
 public:
  Walk(SeededRandom& random, double step, double noise, double floor)
      : random_(random), step_(step), noise_(noise), floor_(floor) {}
  double next() {
    level_ = std::clamp(level_ + step_ * between(-1, 1), -3.0, 3.0);
    return floor_ * std::exp(level_ + noise_ * between(-1, 1));
  }

 private:
  double between(double low, double high) {
    return low + (high - low) * static_cast<double>(random_.between(0, 1'000'000)) / 1e6;
  }
  SeededRandom& random_;
  double step_;
  double noise_;
  double floor_;
  double level_ = 0;
};

// Equal servers whose measurements jump by any amount: there is nothing to win, and hardly a move.
TEST(ServerChoice, NoiseAloneHardlyMoves) {
  test::SeededCases cases;
  for (int i = 0; i < 40; ++i) {
    cases.run([](SeededRandom& random) -> std::string {
      const std::size_t count = random.between(2, 6);
      const double noise = static_cast<double>(random.between(0, 15)) / 10;
      std::vector<Walk> walks(count, Walk(random, 0, noise, 10));
      Rounds rounds(count);
      const int moves = movesOfADay(rounds, [&walks] {
        std::vector<double> times;
        std::transform(walks.begin(), walks.end(), std::back_inserter(times),
                       [](Walk& walk) { return walk.next(); });
        return times;
      });
      return moves <= 20 ? "" : std::to_string(moves) + " moves in a day";
    });
  }
}

// Servers that really become faster and slower all day are followed, but never in a hurry.
TEST(ServerChoice, RandomWalksNeverFlap) {
  test::SeededCases cases;
  for (int i = 0; i < 40; ++i) {
    cases.run([](SeededRandom& random) -> std::string {
      const std::size_t count = random.between(2, 6);
      std::vector<Walk> walks;
      for (std::size_t n = 0; n < count; ++n) {
        walks.emplace_back(random, static_cast<double>(random.between(0, 20)) / 10,
                           static_cast<double>(random.between(0, 10)) / 10, 10);
      }
      Rounds rounds(count);
      const int moves = movesOfADay(rounds, [&walks] {
        std::vector<double> times;
        std::transform(walks.begin(), walks.end(), std::back_inserter(times),
                       [](Walk& walk) { return walk.next(); });
        return times;
      });
      const int allowed = 12 * static_cast<int>(count);
      return moves <= allowed
                 ? ""
                 : std::to_string(moves) + " moves in a day, " + std::to_string(count) + " servers";
    });
  }
}

// The worst there is: whichever server is used looks slow, as when its own load makes it slow.
TEST(ServerChoice, ServersThatAreSlowBecauseTheyAreUsedDoNotMakeItFlap) {
  for (const std::size_t count : {2U, 3U, 8U}) {
    Rounds rounds(count);
    const int moves = movesOfADay(rounds, [&rounds, count] {
      std::vector<double> times(count, 5);
      times[rounds.current()] = 100;
      return times;
    });
    EXPECT_LE(moves, 48);
    EXPECT_GT(moves, 0);
  }
}

// Whatever happened before, a server that is faster for good is used in the end.
TEST(ServerChoice, TheServerThatIsFasterForGoodIsUsedInTheEnd) {
  test::SeededCases cases;
  for (int i = 0; i < 40; ++i) {
    cases.run([](SeededRandom& random) -> std::string {
      const std::size_t count = random.between(2, 6);
      Rounds rounds(count);
      std::vector<Walk> walks(count, Walk(random, 1, 1, 10));
      for (int round = 0; round < 500; ++round) {
        std::vector<double> times;
        for (Walk& walk : walks) {
          times.push_back(walk.next());
        }
        rounds.run(times);
        if (random.oneIn(50)) {
          rounds.choice().failed(random.between(0, count - 1), rounds.now());
        }
      }
      const std::size_t best = random.between(0, count - 1);
      std::vector<double> times(count, 10);
      times[best] = 5;
      rounds.run(100, times);
      return rounds.current() == best ? "" : "it is not used";
    });
  }
}

}  // namespace
}  // namespace netcow
