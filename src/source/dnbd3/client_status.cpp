// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/client_status.h"

#include <fmt/format.h>

namespace netcow {
namespace {

std::string stateText(ClientStatus::State state, std::size_t readsWaiting) {
  switch (state) {
    case ClientStatus::State::connected:
      return "connected";
    case ClientStatus::State::late:
      return "connected, but it does not answer; trying others";
    case ClientStatus::State::searching:
      return fmt::format("searching a server, {} reads wait", readsWaiting);
    case ClientStatus::State::stopped:
      break;
  }
  return "stopped";
}

std::string orUnknown(std::optional<RoundTrip::Time> roundTrip) {
  return roundTrip ? roundTripText(*roundTrip) : "not measured";
}

}  // namespace

std::string clientStatusText(const ClientStatus& status, std::size_t readsWaiting,
                             std::optional<RoundTrip::Time> roundTrip) {
  std::string text =
      fmt::format("Server:   {}\nState:    {}\nReconnects: {}\nRound trip: {}\nSwitches: {}\n",
                  status.server, stateText(status.state, readsWaiting), status.reconnects,
                  orUnknown(roundTrip), status.switches);
  if (!status.lastSwitch.empty()) {
    text += fmt::format("Last switch: {}\n", status.lastSwitch);
  }
  for (const ClientStatus::Server& server : status.known) {
    text += fmt::format("Known server: {}, round trip {}, failures {} in a row, {} in all\n",
                        server.label, orUnknown(server.record.roundTrip),
                        server.record.failuresInRow, server.record.failures);
  }
  return text;
}

}  // namespace netcow
