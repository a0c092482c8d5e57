// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/server_prober.h"

#include <utility>

namespace netcow {

ServerProber::ServerProber(KnownServers& servers, Settings settings)
    : servers_(servers), settings_(std::move(settings)), random_(settings_.seed) {}

void ServerProber::connected(std::size_t server, Clock::Time now) {
  round_.reset();
  choice_.beginAnew();
  current_ = server;
  rounds_ = 0;
  schedule(now);
}

void ServerProber::pause() {
  round_.reset();
  current_.reset();
}

void ServerProber::schedule(Clock::Time now) {
  const bool isSoon = rounds_ < kFirstRounds || choice_.isUndecided();
  const std::chrono::microseconds pause = isSoon ? settings_.firstEvery : settings_.laterEvery;
  const auto quarter = pause.count() / 4;
  std::uniform_int_distribution<std::int64_t> jitter(-quarter, quarter);
  nextRound_ = now + pause + std::chrono::microseconds(jitter(random_));
}

void ServerProber::addTo(std::vector<pollfd>& polled) const {
  if (round_) {
    round_->addTo(polled);
  }
}

Clock::Time ServerProber::nextEvent() const {
  if (!current_) {
    return Clock::Time::max();
  }
  return round_ ? round_->nextEvent() : nextRound_;
}

ServerProber::Progress ServerProber::advance(Clock::Time now, std::uint64_t bytesDue) {
  Progress progress;
  if (!current_) {
    return progress;
  }
  if (!round_ && now >= nextRound_) {
    progress.began = true;
    ++rounds_;
    schedule(now);
    // Alone there is nothing to compare.
    if (servers_.count() > 1) {
      isLoaded_ = bytesDue >= kLoad;
      round_ = std::make_unique<ProbeRound>(servers_, settings_.wanted, settings_.limit, now);
    }
  }
  if (round_ && round_->advance(now)) {
    isLoaded_ = isLoaded_ || bytesDue >= kLoad;
    judge(now, progress);
    round_.reset();
    schedule(now);
  }
  return progress;
}

void ServerProber::judge(Clock::Time now, Progress& progress) {
  std::vector<ProbeRound::Result> results = round_->takeResults();
  std::vector<ServerChoice::Measured> measured;
  for (const ProbeRound::Result& result : results) {
    if (!result.roundTrip) {
      servers_.missed(result.server);
    } else if (result.server != *current_ || !isLoaded_) {
      servers_.answered(result.server, result.roundTrip);
      measured.push_back({result.server, *result.roundTrip});
    }
  }
  const auto best = choice_.judge(servers_, *current_, measured, now);
  for (ProbeRound::Result& result : results) {
    if (result.server == best) {
      const auto average = [this](std::size_t server) {
        return roundTripText(servers_.record(server).roundTrip.value_or(RoundTrip::Time(0)));
      };
      progress.reason = "it answers in " + average(*best) + " instead of " + average(*current_);
      progress.found = ServerFinder::Found{.server = *best,
                                           .socket = result.handshake->takeSocket(),
                                           .reply = result.handshake->reply(),
                                           .roundTrip = result.roundTrip};
    }
  }
}

}  // namespace netcow
