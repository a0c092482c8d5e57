// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/known_servers.h"

#include <algorithm>

namespace netcow {

bool KnownServers::add(const SocketAddress& address, const std::string& label, Origin origin) {
  const bool isKnown = std::any_of(servers_.begin(), servers_.end(),
                                   [&](const Server& server) { return server.address == address; });
  const bool isLearned = origin == Origin::learned;
  if (isKnown || servers_.size() >= kMaxServers || (isLearned && learned_ >= kMaxLearned)) {
    return false;
  }
  ++version_;
  learned_ += isLearned ? 1 : 0;
  servers_.push_back({.address = address, .label = label, .notBefore = Clock::Time::min()});
  return true;
}

const SocketAddress& KnownServers::address(std::size_t server) const {
  return servers_.at(server).address;
}

const std::string& KnownServers::label(std::size_t server) const {
  return servers_.at(server).label;
}

Clock::Time KnownServers::notBefore(std::size_t server) const {
  return servers_.at(server).notBefore;
}

void KnownServers::failed(std::size_t server, Clock::Time now) {
  Server& it = servers_.at(server);
  std::chrono::milliseconds delay = delays_.first;
  for (unsigned i = 0; i < it.delays && delay < delays_.longest; ++i) {
    delay *= 2;
  }
  ++it.delays;
  it.notBefore = now + std::min(delay, delays_.longest);
  missed(server);
}

void KnownServers::proved(std::size_t server) {
  servers_.at(server).delays = 0;
}

void KnownServers::answered(std::size_t server, std::optional<RoundTrip::Time> roundTrip) {
  Server& it = servers_.at(server);
  it.failuresInRow = 0;
  ++version_;
  if (roundTrip) {
    it.roundTrip.note(*roundTrip);
  }
}

void KnownServers::missed(std::size_t server) {
  Server& it = servers_.at(server);
  ++it.failuresInRow;
  ++version_;
  ++it.failures;
}

KnownServers::Record KnownServers::record(std::size_t server) const {
  const Server& it = servers_.at(server);
  return {.roundTrip = it.roundTrip.smoothed(),
          .failuresInRow = it.failuresInRow,
          .failures = it.failures};
}

}  // namespace netcow
