// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/dnbd3_client.h"

#include <algorithm>
#include <cerrno>
#include <random>
#include <utility>

#include "base/errors.h"
#include "base/logging.h"
#include "source/dnbd3/poll_until.h"
#include "source/status_head.h"

namespace netcow {

Dnbd3Client::Dnbd3Client(const Dnbd3Options& options, KnownServers servers,
                         ServerFinder::Found found)
    : timing_(options.timing),
      learnServers_(options.learnServers),
      image_{.name = found.reply.name, .revision = found.reply.revision},
      size_(found.reply.size),
      channel_(wakeUp_, SilenceWatch(timing_.keepAliveEvery, timing_.silenceLimit), clock_,
               options.ioTimeout),
      servers_(std::move(servers)),
      prober_(servers_, {.wanted = {.image = image_, .size = size_},
                         .limit = timing_.probeLimit,
                         .firstEvery = timing_.probeFirstEvery,
                         .laterEvery = timing_.probeLaterEvery,
                         .seed = std::random_device{}()}),
      names_(options.hosts, timing_.lookUpAfter, timing_.lookUpEvery),
      patience_(timing_.lateAfter, timing_.silenceLimit, timing_.longestBlockLimit),
      reader_(*this) {
  spdlog::info("reading {} revision {} from {}", image_.name, image_.revision,
               servers_.label(found.server));
  connect(std::move(found));
  publishStatus();
  receiver_ = std::thread([this] { run(); });
}

Dnbd3Client::~Dnbd3Client() {
  stop();
}

void Dnbd3Client::read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) {
  if (offset > size() || buffer.size() > size() - offset) {
    done(errnoCode(EINVAL));
  } else if (buffer.empty()) {
    done({});
  } else {
    channel_.read(buffer, offset, std::move(done));
  }
}

void Dnbd3Client::stop() {
  std::call_once(stopOnce_, [this] {
    channel_.refuseReads();
    stopping_ = true;
    wakeUp_.signal();
    receiver_.join();
    // The receiver has gone: what was its own is this thread's now.
    if (connection_) {
      disconnect();
    }
    search_.reset();
    channel_.failAll(errnoCode(EIO));
  });
}

std::string Dnbd3Client::statusText() const {
  ClientStatus status;
  {
    const MutexLock lock(statusMutex_);
    status = status_;
  }
  if (stopping_) {
    status.state = ClientStatus::State::stopped;
  }
  return statusHead(image()) + clientStatusText(status, channel_.readCount(), channel_.roundTrip());
}

// --- the receiver -------------------------------------------------------------------------

void Dnbd3Client::run() {
  while (!stopping_) {
    const short events = waitForEvents();
    const Clock::Time now = clock_.now();
    if (connection_) {
      serve(events, now);
    }
    if (channel_.expire(now)) {
      reader_.findPlaceAgain();
    }
    if (search_) {
      continueSearch();
    } else if (connection_) {
      continueProbing(now);
    }
    publishStatus();
  }
}

/// Returns what poll() said of the connection.
short Dnbd3Client::waitForEvents() {
  const Clock::Time now = clock_.now();
  const RequestChannel::Needs needs = channel_.needs(now, limits());
  roundTrip_ = needs.roundTrip;
  Clock::Time end = std::min(needs.checkAt, names_.nextEvent(now));
  polled_.clear();
  polled_.push_back({wakeUp_.fd(), POLLIN, 0});
  const int socket = connection_ ? connection_->socket->get() : -1;  // -1: poll() skips it
  polled_.push_back({socket, static_cast<short>(needs.room ? POLLIN | POLLOUT : POLLIN), 0});
  if (search_) {
    search_->finder.addTo(polled_);
    end = std::min(end, search_->finder.nextEvent());
  }
  prober_.addTo(polled_);
  end = std::min(end, prober_.nextEvent());
  pollUntil(polled_, end, clock_);
  if (polled_[0].revents != 0) {
    wakeUp_.clear();
  }
  return polled_[1].revents;
}

void Dnbd3Client::serve(short events, Clock::Time now) {
  if ((events & POLLOUT) != 0) {
    channel_.continueSending();
  }
  if ((events & ~POLLOUT) != 0) {
    receive(now);
  }
  // After receiving: a process that was stopped for a while finds its answers here.
  if (connection_) {
    checkSilence(now);
  }
}

void Dnbd3Client::receive(Clock::Time now) {
  channel_.beginReceiving(now);
  const ReplyReader::Result result = reader_.receive(connection_->socket->get());
  if (result.gotBytes && !channel_.endReceiving(result.ofBlocks)) {
    patience_.gotAll();
  }
  if (result.ofBlocks) {
    patience_.gotBlocks();
    if (search_ && search_->reason == Reason::late) {
      endSearch();
    }
  }
  if (result.failure.empty()) {
    channel_.sendWaiting();
  } else {
    drop(result.failure);
  }
}

RequestChannel::Limits Dnbd3Client::limits() const {
  return {.lateAfter = patience_.lateAfter(roundTrip_), .blockLimit = patience_.blockLimit()};
}

void Dnbd3Client::checkSilence(Clock::Time now) {
  const RequestChannel::Silence silence = channel_.silence(now, limits());
  if (silence.dead) {
    drop("it has been silent for too long");
  } else if (silence.withholds) {
    withheld();
  } else if (silence.late) {
    beLate();
  }
  if (silence.keepAliveDue && connection_) {
    channel_.sendPlain(dnbd3::Command::keepAlive);
  }
}

/// Makes what statusText() tells new if it has changed.
void Dnbd3Client::publishStatus() {
  ClientStatus::State state = ClientStatus::State::searching;
  if (connection_) {
    state = search_ && search_->reason == Reason::late ? ClientStatus::State::late
                                                       : ClientStatus::State::connected;
  }
  if (isPublished_ && published_ == servers_.version() && news_.state == state) {
    return;
  }
  isPublished_ = true;
  published_ = servers_.version();
  news_.state = state;
  news_.known.clear();
  for (std::size_t server = 0; server < servers_.count(); ++server) {
    news_.known.push_back({.label = servers_.label(server), .record = servers_.record(server)});
  }
  const MutexLock lock(statusMutex_);
  status_ = news_;
}

// --- replies ------------------------------------------------------------------------------

std::span<std::byte> Dnbd3Client::beginBlock(std::uint64_t handle) {
  return channel_.find(handle);
}

void Dnbd3Client::endBlock(std::uint64_t handle) {
  channel_.finish(handle, {});
}

bool Dnbd3Client::refuseBlock(std::uint64_t handle) {
  if (channel_.find(handle).empty()) {
    return false;
  }
  if (!channel_.refuse(handle)) {
    channel_.finish(handle, errnoCode(EIO));
  } else if (!search_ || search_->reason == Reason::late) {
    search(Reason::refused);
  }
  return true;
}

void Dnbd3Client::takeServers(std::span<const dnbd3::ServerEntry> servers) {
  for (const dnbd3::ServerEntry& entry : servers) {
    const auto address = SocketAddress::from(entry);
    if (learnServers_ && address &&
        servers_.add(*address, address->text(), KnownServers::Origin::learned)) {
      spdlog::debug("learned of the server {}", address->text());
    }
  }
}

bool Dnbd3Client::takePlainReply(dnbd3::Command command) {
  if (!channel_.takePlainReply(command)) {
    return false;
  }
  if (command == dnbd3::Command::keepAlive && measureAgain_ > 0) {
    --measureAgain_;
    channel_.sendPlain(dnbd3::Command::keepAlive);
  }
  return true;
}

}  // namespace netcow
