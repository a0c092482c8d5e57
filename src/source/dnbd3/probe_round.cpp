// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/probe_round.h"

#include <utility>

namespace netcow {

ProbeRound::ProbeRound(const KnownServers& servers, const WantedImage& wanted,
                       std::chrono::milliseconds limit, Clock::Time now)
    : deadline_(now + limit) {
  for (std::size_t server = 0; server < servers.count(); ++server) {
    results_.push_back({.server = server,
                        .handshake = std::make_unique<Handshake>(servers.address(server), wanted,
                                                                 Handshake::Goal::measure),
                        .roundTrip = std::nullopt});
  }
}

void ProbeRound::addTo(std::vector<pollfd>& polled) const {
  for (const Result& result : results_) {
    if (result.handshake && !result.handshake->isOver()) {
      polled.push_back({result.handshake->fd(), result.handshake->events(), 0});
    }
  }
}

bool ProbeRound::advance(Clock::Time now) {
  bool isOver = true;
  for (Result& result : results_) {
    if (!result.handshake || result.handshake->state() == Handshake::State::agreed) {
      continue;
    }
    result.handshake->advance();
    if (result.handshake->state() == Handshake::State::agreed) {
      result.roundTrip = result.handshake->roundTrip();
    } else if (result.handshake->isOver() || now >= deadline_) {
      result.handshake.reset();
    } else {
      isOver = false;
    }
  }
  return isOver;
}

std::vector<ProbeRound::Result> ProbeRound::takeResults() {
  return std::exchange(results_, {});
}

}  // namespace netcow
