// SPDX-License-Identifier: Apache-2.0
// Which server a Dnbd3Client reads from. All of it runs on the receiver.
#include <utility>

#include "base/errors.h"
#include "base/logging.h"
#include "source/dnbd3/dnbd3_client.h"

namespace netcow {

/// The first answer of all may find everybody asleep, and a busy connection measures no more.
constexpr int kMeasurements = 4;

void Dnbd3Client::connect(ServerFinder::Found found) {
  news_.server = servers_.label(found.server);
  isPublished_ = false;
  connection_ = std::make_unique<Connection>();
  connection_->server = found.server;
  connection_->socket = std::make_shared<const UniqueFd>(std::move(found.socket));
  connection_->since = clock_.now();
  channel_.attach(connection_->socket, found.roundTrip);
  prober_.connected(found.server, connection_->since);
  if (learnServers_) {
    channel_.sendPlain(dnbd3::Command::getServers);
  }
  measureAgain_ = kMeasurements;
  channel_.sendPlain(dnbd3::Command::keepAlive);
}

void Dnbd3Client::disconnect() {
  channel_.detach();
  reader_.reset();
  prober_.pause();
  connection_.reset();
}

/// The connection is of no use any more.
void Dnbd3Client::drop(const std::string& why) {
  const std::size_t server = connection_->server;
  spdlog::warn("lost {}: {}; searching a server that has the image", servers_.label(server), why);
  const Clock::Time now = clock_.now();
  if (now - connection_->since >= timing_.keepAliveEvery) {
    servers_.proved(server);
  }
  servers_.failed(server, now);
  prober_.failed(server, now);
  disconnect();
  search(Reason::lost);
  names_.begin(now);
}

/// Another server takes over while the connection still exists.
void Dnbd3Client::moveTo(ServerFinder::Found found, const std::string& why) {
  const std::string& label = servers_.label(found.server);
  spdlog::info("reading from {} instead of {}: {}", label, servers_.label(connection_->server),
               why);
  ++news_.switches;
  news_.lastSwitch = "to " + label + ": " + why;
  disconnect();
  connect(std::move(found));
}

void Dnbd3Client::beLate() {
  if (!search_ && servers_.count() > 1) {
    spdlog::info("{} does not answer; trying the other servers too",
                 servers_.label(connection_->server));
    search(Reason::late);
  }
}

void Dnbd3Client::withheld() {
  const bool othersAreTried = search_ && search_->reason != Reason::late;
  if (othersAreTried) {
    return;
  }
  patience_.gaveUp();
  if (search_ || servers_.count() < 2) {
    drop("it keeps a block back");
  } else {
    search(Reason::withheld);
  }
}

void Dnbd3Client::search(Reason reason) {
  ServerFinder::Settings settings;
  settings.wanted = {.image = image_, .size = size_};
  settings.limit = timing_.connectLimit;
  const bool again = reason == Reason::late || reason == Reason::lost;
  settings.effort = again ? ServerFinder::Effort::untilFound : ServerFinder::Effort::once;
  if (connection_) {
    settings.except = connection_->server;
  }
  if (reason == Reason::late || reason == Reason::withheld) {
    settings.goal = Handshake::Goal::measure;
    settings.atOnce = true;
  }
  prober_.pause();
  search_ = std::make_unique<Search>(
      Search{.reason = reason, .finder = ServerFinder(servers_, std::move(settings))});
}

/// The connection is as good as it was.
void Dnbd3Client::endSearch() {
  search_.reset();
  prober_.connected(connection_->server, clock_.now());
}

void Dnbd3Client::continueSearch() {
  const Clock::Time now = clock_.now();
  if (auto winner = search_->finder.advance(now)) {
    found(std::move(*winner));
  } else if (search_->reason == Reason::lost) {
    lookUpNames(now);
  } else if (search_->finder.hasFailed() && search_->reason == Reason::refused) {
    spdlog::warn("no other server has the block that {} refused",
                 servers_.label(connection_->server));
    endSearch();
    channel_.failRefused(errnoCode(EIO));
  } else if (search_->finder.hasFailed() && search_->reason == Reason::withheld) {
    drop("it keeps a block back, and no other server can be reached");
  }
}

void Dnbd3Client::found(ServerFinder::Found found) {
  const Reason reason = search_->reason;
  search_.reset();
  const Clock::Time now = clock_.now();
  switch (reason) {
    case Reason::lost:
      names_.end();
      ++news_.reconnects;
      spdlog::info("reading {} revision {} from {}", image_.name, image_.revision,
                   servers_.label(found.server));
      connect(std::move(found));
      break;
    case Reason::refused:
      moveTo(std::move(found), "the old one refused a block");
      break;
    case Reason::withheld:
    case Reason::late:
      servers_.failed(connection_->server, now);
      prober_.failed(connection_->server, now);
      if (reason == Reason::late) {
        patience_.moved();
      }
      moveTo(std::move(found), reason == Reason::late ? "the old one did not answer"
                                                      : "the old one kept a block back");
      break;
  }
}

void Dnbd3Client::lookUpNames(Clock::Time now) {
  for (const ResolvedHost& resolved : names_.advance(now)) {
    if (addServers(servers_, resolved) != 0) {
      spdlog::info("{} has another address now; trying it too", resolved.host.text());
    }
  }
}

void Dnbd3Client::continueProbing(Clock::Time now) {
  if (now < prober_.nextEvent() && !prober_.isMeasuring()) {
    return;
  }
  ServerProber::Progress progress = prober_.advance(now, channel_.bytesDue());
  if (progress.began && learnServers_) {
    channel_.sendPlain(dnbd3::Command::getServers);
  }
  if (progress.found) {
    moveTo(std::move(*progress.found), progress.reason);
  }
}

}  // namespace netcow
