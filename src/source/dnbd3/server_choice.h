// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "source/dnbd3/known_servers.h"

namespace netcow {

/// When another server is so much faster that reading should move there. Rules only: no sockets,
/// no clock of its own. Not thread-safe.
///
/// A server is clearly faster if its round trip is shorter by a quarter and by 1 ms, or by 80 ms.
/// To be moved to it must be that in kLeastRounds rounds in a row, by what was measured in the
/// round and by the average over rounds. Every move doubles the number of rounds that the next one
/// needs, and every failure of a server the number for it, up to kMostRounds; they halve with every
/// quiet time. So however measurements jump, moves become rare, and a server that only looks fast
/// is left alone; a server that is faster for good is used in the end.
class ServerChoice {
 public:
  static constexpr unsigned kLeastRounds = 3;
  static constexpr unsigned kMostRounds = 48;
  static constexpr std::chrono::hours kQuiet{4};

  /// One round trip of one server in a round.
  struct Measured {
    std::size_t server = 0;
    RoundTrip::Time roundTrip;
  };

  /// Judges a round, which `servers` knows of already. `current` is in use; without a measurement
  /// of it nothing can be compared. Returns the server to move to, if any.
  std::optional<std::size_t> judge(const KnownServers& servers, std::size_t current,
                                   std::span<const Measured> round, Clock::Time now);
  /// The server cut the connection, or was late.
  void failed(std::size_t server, Clock::Time now);
  /// Rounds from before do not count any more: another server is in use.
  void beginAnew();
  /// A few more rounds soon would tell whether to move.
  [[nodiscard]] bool isUndecided() const;

  /// Whether a round trip is shorter than another by enough.
  static bool isClearlyFaster(RoundTrip::Time one, RoundTrip::Time other);

 private:
  /// How many rounds in a row it takes.
  struct Needed {
    unsigned rounds = kLeastRounds;
    Clock::Time since;  // when that last changed
    void grow(Clock::Time now);
    void shrinkInTime(Clock::Time now);
  };
  struct Candidate {
    unsigned rounds = 0;  // in a row in which it was clearly faster
    Needed needed;        // because of its failures
  };
  Candidate& candidate(std::size_t server);

  Needed needed_;                      // because of moves
  std::vector<Candidate> candidates_;  // by number of the server
};

}  // namespace netcow
