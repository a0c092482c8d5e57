// SPDX-License-Identifier: Apache-2.0
#include "source/server_choice.h"

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

void ServerChoice::needMore(Candidate& candidate, Clock::Time now) {
  candidate.rounds = 0;
  candidate.needed = std::min(2 * candidate.needed, kMostRounds);
  candidate.neededSince = now;
}

void ServerChoice::failed(std::size_t server, Clock::Time now) {
  needMore(candidate(server), now);
}

void ServerChoice::beginAnew() {
  for (Candidate& candidate : candidates_) {
    candidate.rounds = 0;
  }
}

bool ServerChoice::isUndecided() const {
  return std::any_of(candidates_.begin(), candidates_.end(), [](const Candidate& candidate) {
    return candidate.rounds != 0 && candidate.needed == kLeastRounds;
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
  std::optional<std::size_t> best;
  for (std::size_t server = 0; server < servers.count(); ++server) {
    Candidate& other = candidate(server);
    if (other.needed > kLeastRounds && now - other.neededSince >= kQuiet) {
      other.needed = std::max(other.needed / 2, kLeastRounds);
      other.neededSince = now;
    }
    const auto its = measured(server);
    const auto itsAverage = servers.record(server).roundTrip;
    const bool isFaster = server != current && mine && average && its && itsAverage &&
                          isClearlyFaster(*its, *mine) && isClearlyFaster(*itsAverage, *average);
    other.rounds = isFaster ? other.rounds + 1 : 0;
    if (isFaster && other.rounds >= other.needed &&
        (!best || *itsAverage < *servers.record(*best).roundTrip)) {
      best = server;
    }
  }
  if (best) {
    needMore(candidate(*best), now);
    beginAnew();
  }
  return best;
}

}  // namespace netcow
