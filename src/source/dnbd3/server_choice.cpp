// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/server_choice.h"

#include <algorithm>

namespace netcow {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLeastGain{1};
constexpr milliseconds kLargeGain{80};

}  // namespace

bool ServerChoice::isClearlyFaster(RoundTrip::Time one, RoundTrip::Time other) {
  const RoundTrip::Time gain = other - one;
  return gain >= kLargeGain || (gain >= kLeastGain && gain >= other / 4);
}

ServerChoice::Candidate& ServerChoice::candidate(std::size_t server) {
  if (server >= candidates_.size()) {
    candidates_.resize(server + 1);
  }
  return candidates_[server];
}

void ServerChoice::Needed::grow(Clock::Time now) {
  rounds = std::min(2 * rounds, kMostRounds);
  since = now;
}

void ServerChoice::Needed::shrinkInTime(Clock::Time now) {
  if (rounds > kLeastRounds && now - since >= kQuiet) {
    rounds = std::max(rounds / 2, kLeastRounds);
    since = now;
  }
}

void ServerChoice::failed(std::size_t server, Clock::Time now) {
  candidate(server).rounds = 0;
  candidate(server).needed.grow(now);
}

void ServerChoice::beginAnew() {
  for (Candidate& candidate : candidates_) {
    candidate.rounds = 0;
  }
}

bool ServerChoice::isUndecided() const {
  return needed_.rounds == kLeastRounds &&
         std::any_of(candidates_.begin(), candidates_.end(), [](const Candidate& candidate) {
           return candidate.rounds != 0 && candidate.needed.rounds == kLeastRounds;
         });
}

std::optional<std::size_t> ServerChoice::judge(const KnownServers& servers, std::size_t current,
                                               std::span<const Measured> round, Clock::Time now) {
  const auto measured = [round](std::size_t server) -> std::optional<RoundTrip::Time> {
    const auto it = std::find_if(round.begin(), round.end(),
                                 [server](const Measured& one) { return one.server == server; });
    return it == round.end() ? std::nullopt : std::optional(it->roundTrip);
  };
  const auto mine = measured(current);
  const auto average = servers.record(current).roundTrip;
  needed_.shrinkInTime(now);
  std::optional<std::size_t> best;
  for (std::size_t server = 0; server < servers.count(); ++server) {
    Candidate& other = candidate(server);
    other.needed.shrinkInTime(now);
    const auto its = measured(server);
    const auto itsAverage = servers.record(server).roundTrip;
    const bool isFaster = server != current && mine && average && its && itsAverage &&
                          isClearlyFaster(*its, *mine) && isClearlyFaster(*itsAverage, *average);
    other.rounds = isFaster ? other.rounds + 1 : 0;
    if (isFaster && other.rounds >= std::max(needed_.rounds, other.needed.rounds) &&
        (!best || *itsAverage < *servers.record(*best).roundTrip)) {
      best = server;
    }
  }
  if (best) {
    needed_.grow(now);
    beginAnew();
  }
  return best;
}

}  // namespace netcow
