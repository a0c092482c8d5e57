// SPDX-License-Identifier: Apache-2.0
#include "source/known_servers.h"

#include <algorithm>

namespace netcow {

bool KnownServers::add(const SocketAddress& address, const std::string& label) {
  const bool isKnown = std::any_of(servers_.begin(), servers_.end(),
                                   [&](const Server& server) { return server.address == address; });
  if (isKnown || servers_.size() >= kMaxServers) {
    return false;
  }
  servers_.push_back(Server{address, label, 0, Clock::Time::min()});
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
  for (unsigned i = 0; i < it.failures && delay < delays_.longest; ++i) {
    delay *= 2;
  }
  ++it.failures;
  it.notBefore = now + std::min(delay, delays_.longest);
}

void KnownServers::proved(std::size_t server) {
  servers_.at(server).failures = 0;
}

}  // namespace netcow
