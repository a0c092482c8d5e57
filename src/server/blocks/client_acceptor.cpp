// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/client_acceptor.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <utility>

#include "base/errors.h"
#include "base/logging.h"

namespace netcow {
namespace {

constexpr int kPauseWithoutDescriptors = 100;  // milliseconds
// At once on one socket, before the others have their turn.
constexpr int kMostAtOnce = 256;

/// Errors that concern one client and not the next.
bool concernsOneClient(int error) {
  return error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM;
}

}  // namespace

void ClientAcceptor::start(ClientHandler onClient) {
  onClient_ = std::move(onClient);
  thread_ = std::jthread([this](const std::stop_token& stopped) { run(stopped); });
}

void ClientAcceptor::stop() {
  if (thread_.joinable()) {
    thread_.request_stop();
    wakeUp_.signal();
    thread_.join();
  }
  listening_.clear();
}

void ClientAcceptor::run(const std::stop_token& stopped) {
  std::vector<pollfd> watched = {{.fd = wakeUp_.fd(), .events = POLLIN, .revents = 0}};
  for (const UniqueFd& socket : listening_) {
    watched.push_back({.fd = socket.get(), .events = POLLIN, .revents = 0});
  }
  while (!stopped.stop_requested()) {
    ::poll(watched.data(), watched.size(), -1);
    bool canAccept = true;
    for (std::size_t i = 1; i < watched.size(); ++i) {
      canAccept = (watched[i].revents == 0 || acceptAll(watched[i].fd)) && canAccept;
    }
    if (!canAccept) {  // accepting again at once would fail at once: an endless loop
      ::poll(watched.data(), 1, kPauseWithoutDescriptors);
    }
  }
}

/// False: there are no descriptors or no memory left.
bool ClientAcceptor::acceptAll(int socket) {
  for (int i = 0; i < kMostAtOnce; ++i) {
    UniqueFd client(::accept4(socket, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client) {
      if (errno == EAGAIN || concernsOneClient(errno)) {
        return true;
      }
      if (!std::exchange(complained_, true)) {
        spdlog::warn("cannot accept dnbd3 clients: {}; new ones have to wait",
                     errnoCode(errno).message());
      }
      return false;
    }
    complained_ = false;
    try {
      onClient_(std::move(client));
    } catch (const std::exception& error) {
      spdlog::error("cannot serve a dnbd3 client: {}", error.what());
    }
  }
  return true;
}

}  // namespace netcow
