// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "source/dnbd3/known_servers.h"

namespace netcow {

/// What people are told of a dnbd3 source.
struct ClientStatus {
  enum class State { connected, late, searching, stopped };
  struct Server {
    std::string label;
    KnownServers::Record record;
  };
  State state = State::searching;
  std::string server;            ///< the one in use, or the last one that was
  std::uint64_t reconnects = 0;  ///< after a connection was lost
  std::uint64_t switches = 0;    ///< from a server to another while both were there
  std::string lastSwitch;        ///< to which, and why
  std::vector<Server> known;
};

/// The lines behind the head of statusText(). `readsWaiting`: reads that are not answered;
/// `roundTrip`: of the connection in use.
std::string clientStatusText(const ClientStatus& status, std::size_t readsWaiting,
                             std::optional<RoundTrip::Time> roundTrip);

}  // namespace netcow
