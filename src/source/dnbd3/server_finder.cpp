// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/server_finder.h"

#include <algorithm>
#include <utility>

namespace netcow {

ServerFinder::ServerFinder(KnownServers& servers, Settings settings)
    : servers_(servers), settings_(std::move(settings)) {
  addCandidates();
}

void ServerFinder::addCandidates() {
  for (; looked_ < servers_.count(); ++looked_) {
    if (looked_ != settings_.except) {
      attempts_.emplace_back().server = looked_;
    }
  }
}

Clock::Time ServerFinder::notBefore(const Attempt& attempt) const {
  return settings_.atOnce && !attempt.hasBegun ? Clock::Time::min()
                                               : servers_.notBefore(attempt.server);
}

void ServerFinder::addTo(std::vector<pollfd>& polled) const {
  for (const Attempt& attempt : attempts_) {
    if (attempt.handshake) {
      polled.push_back({attempt.handshake->fd(), attempt.handshake->events(), 0});
    }
  }
}

Clock::Time ServerFinder::nextEvent() const {
  Clock::Time next = Clock::Time::max();
  for (const Attempt& attempt : attempts_) {
    if (!attempt.isOver) {
      next = std::min(next, attempt.handshake ? attempt.deadline : notBefore(attempt));
    }
  }
  return next;
}

std::optional<ServerFinder::Found> ServerFinder::advance(Clock::Time now) {
  addCandidates();
  for (Attempt& attempt : attempts_) {
    if (advance(attempt, now)) {
      Handshake& handshake = *attempt.handshake;
      servers_.answered(attempt.server, handshake.roundTrip());
      return Found{.server = attempt.server,
                   .socket = handshake.takeSocket(),
                   .reply = handshake.reply(),
                   .roundTrip = handshake.roundTrip()};
    }
  }
  return std::nullopt;
}

bool ServerFinder::advance(Attempt& attempt, Clock::Time now) {
  if (!attempt.handshake) {
    if (attempt.isOver || now < notBefore(attempt)) {
      return false;
    }
    attempt.hasBegun = true;
    attempt.handshake = std::make_unique<Handshake>(servers_.address(attempt.server),
                                                    settings_.wanted, settings_.goal);
    attempt.deadline = now + settings_.limit;
  }
  attempt.handshake->advance();
  switch (attempt.handshake->state()) {
    case Handshake::State::agreed:
      return true;
    case Handshake::State::failed:
      noteFailure(attempt, attempt.handshake->failure(), now);
      return false;
    default:
      if (now >= attempt.deadline) {
        noteFailure(attempt, "did not answer in time", now);
      }
      return false;
  }
}

void ServerFinder::noteFailure(Attempt& attempt, const std::string& why, Clock::Time now) {
  attempt.failure = why;
  attempt.handshake.reset();
  attempt.isOver = settings_.effort == Effort::once;
  servers_.failed(attempt.server, now);
}

bool ServerFinder::hasFailed() const {
  return std::all_of(attempts_.begin(), attempts_.end(),
                     [](const Attempt& attempt) { return attempt.isOver; });
}

std::string ServerFinder::failures() const {
  std::string text;
  for (const Attempt& attempt : attempts_) {
    if (!attempt.failure.empty()) {
      text += (text.empty() ? "" : "; ") + servers_.label(attempt.server) + " " + attempt.failure;
    }
  }
  return text;
}

}  // namespace netcow
