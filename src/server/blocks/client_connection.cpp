// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/client_connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/logging.h"

namespace netcow {
namespace {

namespace asio = boost::asio;

// Several hundred requests, or a few with payload.
constexpr std::size_t kInputBytes = std::size_t{16} << 10U;
// What is read from the image for one client at a time: replies leave in sends of this size.
constexpr std::size_t kOutputBytes = std::size_t{256} << 10U;
static_assert(kInputBytes >= ClientProtocol::kLongestMessage);

}  // namespace

ClientConnection::ClientConnection(asio::ip::tcp::socket socket, const ImageCatalog& catalog,
                                   const BlockServerOptions& options, BlockStatistics& statistics)
    : socket_(std::move(socket)),
      silence_(socket_.get_executor()),
      options_(options),
      statistics_(statistics),
      protocol_(catalog, options.otherServers, statistics),
      input_(kInputBytes),
      lastMoved_(std::chrono::steady_clock::now()) {
  statistics_.clientCame();
}

ClientConnection::~ClientConnection() {
  statistics_.clientWent();
}

void ClientConnection::start() {
  Error ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  asio::dispatch(socket_.get_executor(), [self = shared_from_this()] {
    self->watchSilence();
    self->readMore();
  });
}

void ClientConnection::readMore() {
  if (reading_ || clientIsDone_ || inputLength_ == input_.size()) {
    return;
  }
  reading_ = true;
  const auto room = asio::buffer(input_) + inputLength_;
  socket_.async_read_some(room,
                          [self = shared_from_this()](const Error& error, std::size_t length) {
                            self->onRead(error, length);
                          });
}

void ClientConnection::onRead(const Error& error, std::size_t length) {
  reading_ = false;
  if (error && error != asio::error::eof) {
    close();
    return;
  }
  clientIsDone_ = error == asio::error::eof;
  inputLength_ += length;
  lastMoved_ = std::chrono::steady_clock::now();
  proceed();
}

/// Does whatever can be done next; called after every event.
void ClientConnection::proceed() {
  if (!takeRequests()) {
    statistics_.clientDropped();
    close();
    return;
  }
  writeMore();
  if (!protocol_.queueFull()) {
    readMore();
  }
  if (clientIsDone_ && !writing_) {
    close();
  }
}

bool ClientConnection::takeRequests() {
  std::size_t used = 0;
  try {
    if (!protocol_.receive(std::span(input_).first(inputLength_), used)) {
      return false;
    }
  } catch (const std::system_error& error) {
    spdlog::error("a client cannot be served: {}", error.what());
    return false;
  }
  inputLength_ -= used;
  std::memmove(input_.data(), input_.data() + used, inputLength_);
  return true;
}

void ClientConnection::writeMore() {
  if (writing_ || !protocol_.hasReplies() || !socket_.is_open()) {
    return;
  }
  if (!output_) {
    output_ = std::make_unique_for_overwrite<std::byte[]>(kOutputBytes);
  }
  const auto length = protocol_.produce({output_.get(), kOutputBytes});
  if (!length) {
    close();
    return;
  }
  writing_ = true;
  asio::async_write(
      socket_, asio::buffer(output_.get(), *length),
      [self = shared_from_this()](const Error& error, std::size_t) { self->onWritten(error); });
}

void ClientConnection::onWritten(const Error& error) {
  writing_ = false;
  if (error) {
    close();
    return;
  }
  lastMoved_ = std::chrono::steady_clock::now();
  proceed();
}

void ClientConnection::watchSilence() {
  silence_.expires_at(lastMoved_ + options_.longestSilence);
  silence_.async_wait([self = shared_from_this()](const Error& cancelled) {
    if (cancelled || !self->socket_.is_open()) {
      return;
    }
    if (std::chrono::steady_clock::now() >= self->lastMoved_ + self->options_.longestSilence) {
      spdlog::debug("dropped a client that was silent for too long");
      self->statistics_.clientDropped();
      self->close();
      return;
    }
    if (!self->writing_) {
      self->output_.reset();  // a client that merely keeps its connection needs none
    }
    self->watchSilence();
  });
}

void ClientConnection::close() {
  Error ignored;
  socket_.close(ignored);
  silence_.cancel();
}

}  // namespace netcow
