// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3_client.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/errors.h"
#include "base/logging.h"
#include "source/poll_until.h"
#include "source/status_head.h"

namespace netcow {

Dnbd3Client::Dnbd3Client(const Dnbd3Options& options, KnownServers servers,
                         ServerFinder::Found found)
    : timing_(options.timing),
      learnServers_(options.learnServers),
      image_{.name = found.reply.name, .revision = found.reply.revision},
      size_(found.reply.size),
      channel_(wakeUp_, SilenceWatch(timing_.keepAliveEvery, timing_.silenceLimit), clock_),
      servers_(std::move(servers)),
      reader_(*this) {
  connect(std::move(found));
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
  Status status;
  {
    const MutexLock lock(statusMutex_);
    status = status_;
  }
  std::string state = "searching a server, " + std::to_string(channel_.readCount()) + " reads wait";
  if (stopping_) {
    state = "stopped";
  } else if (status.connected) {
    state = "connected";
  }
  return statusHead(image()) + "Server:   " + status.server + "\nState:    " + state +
         "\nReconnects: " + std::to_string(status.connections - 1) + "\n";
}

// --- the receiver -------------------------------------------------------------------------

void Dnbd3Client::run() {
  while (!stopping_) {
    const short events = waitForEvents();
    if (connection_) {
      serve(events);
    }
    if (search_) {
      continueSearch();
    }
  }
}

/// Returns what poll() said of the connection.
short Dnbd3Client::waitForEvents() {
  const RequestChannel::Needs needs = channel_.needs();
  Clock::Time end = needs.checkAt;
  polled_.clear();
  polled_.push_back({wakeUp_.fd(), POLLIN, 0});
  const int socket = connection_ ? connection_->socket->get() : -1;  // -1: poll() skips it
  polled_.push_back({socket, static_cast<short>(needs.room ? POLLIN | POLLOUT : POLLIN), 0});
  if (search_) {
    search_->addTo(polled_);
    end = std::min(end, search_->nextEvent());
  }
  pollUntil(polled_, end, clock_);
  if (polled_[0].revents != 0) {
    wakeUp_.clear();
  }
  return polled_[1].revents;
}

void Dnbd3Client::serve(short events) {
  if ((events & POLLOUT) != 0) {
    channel_.continueSending();
  }
  if ((events & ~POLLOUT) != 0) {
    receive();
  }
  // After receiving: a process that was stopped for a while finds its answers here.
  if (connection_) {
    checkSilence();
  }
}

void Dnbd3Client::receive() {
  const ReplyReader::Result result = reader_.receive(connection_->socket->get());
  if (result.gotBytes) {
    channel_.noteReceived(clock_.now());
  }
  if (result.failure.empty()) {
    channel_.sendWaiting();
  } else {
    drop(result.failure);
  }
}

void Dnbd3Client::checkSilence() {
  switch (channel_.silence(clock_.now())) {
    case RequestChannel::Silence::dead:
      drop("it has been silent for too long");
      break;
    case RequestChannel::Silence::keepAliveDue:
      channel_.sendPlain(dnbd3::Command::keepAlive);
      break;
    case RequestChannel::Silence::none:
      break;
  }
}

void Dnbd3Client::connect(ServerFinder::Found found) {
  const std::string& label = servers_.label(found.server);
  {
    const MutexLock lock(statusMutex_);
    status_.server = label;
    status_.connected = true;
    ++status_.connections;
  }
  spdlog::info("reading {} revision {} from {}", image().name, image().revision, label);
  connection_ = std::make_unique<Connection>();
  connection_->server = found.server;
  connection_->socket = std::make_shared<const UniqueFd>(std::move(found.socket));
  connection_->since = clock_.now();
  channel_.attach(connection_->socket);
  if (learnServers_) {
    channel_.sendPlain(dnbd3::Command::getServers);
  }
}

void Dnbd3Client::disconnect() {
  channel_.detach();
  reader_.reset();
  connection_.reset();
  const MutexLock lock(statusMutex_);
  status_.connected = false;
}

void Dnbd3Client::drop(const std::string& why) {
  const std::size_t server = connection_->server;
  spdlog::warn("lost {}: {}; searching a server that has the image", servers_.label(server), why);
  const Clock::Time now = clock_.now();
  if (now - connection_->since >= timing_.keepAliveEvery) {
    servers_.proved(server);
  }
  servers_.failed(server, now);
  disconnect();
  search(ServerFinder::Effort::untilFound);
}

void Dnbd3Client::search(ServerFinder::Effort effort) {
  ServerFinder::Settings settings;
  settings.wanted = {.image = image_, .size = size_};
  settings.effort = effort;
  settings.limit = timing_.connectLimit;
  if (connection_) {
    settings.except = connection_->server;
  }
  search_ = std::make_unique<ServerFinder>(servers_, std::move(settings));
}

void Dnbd3Client::continueSearch() {
  if (auto found = search_->advance(clock_.now())) {
    search_.reset();
    if (connection_) {
      disconnect();
    }
    connect(std::move(*found));
  } else if (search_->hasFailed()) {
    spdlog::warn("no other server has the block that {} refused",
                 servers_.label(connection_->server));
    search_.reset();
    channel_.failRefused(errnoCode(EIO));
  }
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
  } else if (!search_) {
    search(ServerFinder::Effort::once);
  }
  return true;
}

void Dnbd3Client::takeServers(std::span<const dnbd3::ServerEntry> servers) {
  for (const dnbd3::ServerEntry& entry : servers) {
    const auto address = SocketAddress::from(entry);
    if (learnServers_ && address && servers_.add(*address, address->text())) {
      spdlog::debug("learned of the server {}", address->text());
    }
  }
}

}  // namespace netcow
