// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "source/dnbd3/known_servers.h"
#include "source/dnbd3/probe_round.h"
#include "source/dnbd3/server_choice.h"
#include "source/dnbd3/server_finder.h"

namespace netcow {

/// Measures the known servers from time to time while one of them is read from, and says when to
/// move to another.
///
/// The first rounds follow each other closely, later ones rarely, unless one more would decide.
/// Each pause is longer or shorter by up to a quarter at random, so that machines which were
/// started together do not measure together.
///
/// The server in use is measured like all others, by a connection of its own: the connection in use
/// has its queue of answers, a fresh one has none. When so much is being read that this load may be
/// what makes the server slow, the round decides nothing.
///
/// Does not block and has no thread: its owner polls what addTo() names, at most until nextEvent(),
/// and calls advance(). Not thread-safe.
class ServerProber {
 public:
  struct Settings {
    WantedImage wanted;
    std::chrono::milliseconds limit;       ///< for measuring one server
    std::chrono::milliseconds firstEvery;  ///< pause between rounds at first
    std::chrono::milliseconds laterEvery;  ///< and later
    std::uint64_t seed = 0;                ///< of the random part of the pauses
  };
  /// Rounds that follow each other closely, after a connection was made.
  static constexpr unsigned kFirstRounds = 5;
  /// From here on (bytes due) a server may be slow only because of what it is asked for.
  static constexpr std::uint64_t kLoad = std::uint64_t{1} << 20U;

  /// `servers` must outlive it; what is measured is noted there.
  ServerProber(KnownServers& servers, Settings settings);

  /// A server is read from, from now on.
  void connected(std::size_t server, Clock::Time now);
  /// None is, or another is searched: a round under way is given up.
  void pause();
  /// The server cut the connection, or was late.
  void failed(std::size_t server, Clock::Time now) { choice_.failed(server, now); }

  void addTo(std::vector<pollfd>& polled) const;
  /// When advance() must be called even if nothing is ready; Time::max() while paused.
  [[nodiscard]] Clock::Time nextEvent() const;

  /// advance() has to be called whatever the time is.
  [[nodiscard]] bool isMeasuring() const { return round_ != nullptr; }

  struct Progress {
    bool began = false;                        ///< a round did
    std::optional<ServerFinder::Found> found;  ///< move to this server
    std::string reason;                        ///< why, for people
  };
  /// Goes on as far as it can without waiting. `bytesDue`: what the server in use owes now.
  Progress advance(Clock::Time now, std::uint64_t bytesDue);

 private:
  void schedule(Clock::Time now);
  void judge(Clock::Time now, Progress& progress);

  KnownServers& servers_;
  const Settings settings_;
  std::mt19937_64 random_;
  ServerChoice choice_;
  std::optional<std::size_t> current_;  // none: paused
  unsigned rounds_ = 0;                 // since the connection was made
  Clock::Time nextRound_;
  std::unique_ptr<ProbeRound> round_;  // null: none under way
  bool isLoaded_ = false;              // so much was due when it began
};

}  // namespace netcow
