// SPDX-License-Identifier: Apache-2.0
#include "server/net/accept_loop.h"

#include <boost/asio/strand.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "base/logging.h"
#include "server/net/listening_sockets.h"

namespace netcow {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::chrono::milliseconds kPauseWithoutDescriptors(100);

tcp protocolOf(int socket) {
  return localAddressOf(socket).host.find(':') == std::string::npos ? tcp::v4() : tcp::v6();
}

}  // namespace

AcceptLoop::AcceptLoop(asio::io_context& context, UniqueFd listening, ClientHandler onClient)
    : context_(context), acceptor_(context), pause_(context), onClient_(std::move(onClient)) {
  const tcp protocol = protocolOf(listening.get());
  acceptor_.assign(protocol, listening.release());
}

void AcceptLoop::start() {
  acceptOne();
}

ListenAddress AcceptLoop::address() const {
  const tcp::endpoint local = acceptor_.local_endpoint();
  return {local.address().to_string(), local.port()};
}

void AcceptLoop::acceptOne() {
  acceptor_.async_accept(asio::make_strand(context_),
                         [this](const boost::system::error_code& error, Socket socket) {
                           onAccept(error, std::move(socket));
                         });
}

void AcceptLoop::onAccept(const boost::system::error_code& error, Socket socket) {
  if (!error) {
    complained_ = false;
    try {
      onClient_(std::move(socket));
    } catch (const std::exception& trouble) {
      spdlog::error("cannot serve a client on {}: {}", address().text(), trouble.what());
    }
    acceptOne();
    return;
  }
  if (error == asio::error::operation_aborted) {
    return;
  }
  if (error == asio::error::connection_aborted) {  // that client left again before its turn
    acceptOne();
    return;
  }
  // Out of descriptors or memory. Accepting again at once would fail at once: an endless loop.
  if (!std::exchange(complained_, true)) {
    spdlog::warn("cannot accept clients on {}: {}; new ones have to wait", address().text(),
                 error.message());
  }
  pause_.expires_after(kPauseWithoutDescriptors);
  pause_.async_wait([this](const boost::system::error_code& stopped) {
    if (!stopped) {
      acceptOne();
    }
  });
}

}  // namespace netcow
