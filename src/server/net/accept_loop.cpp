// SPDX-License-Identifier: Apache-2.0
#include "server/net/accept_loop.h"

#include <boost/asio/strand.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "base/errors.h"
#include "base/logging.h"

namespace netcow {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::chrono::milliseconds kPauseWithoutDescriptors(100);

tcp::endpoint resolve(asio::io_context& context, const ListenAddress& address) {
  tcp::resolver resolver(context);
  const auto found =
      resolver.resolve(address.host, std::to_string(address.port), tcp::resolver::passive);
  return found.begin()->endpoint();
}

tcp::acceptor listenOn(asio::io_context& context, const ListenAddress& address) {
  try {
    constexpr bool kReuseAddress = true;
    return {context, resolve(context, address), kReuseAddress};
  } catch (const boost::system::system_error& error) {
    throw UserError("cannot listen on " + address.text() + ": " + error.code().message() +
                    "; name another address with --listen or --http");
  }
}

}  // namespace

AcceptLoop::AcceptLoop(asio::io_context& context, const ListenAddress& address,
                       ClientHandler onClient)
    : context_(context),
      acceptor_(listenOn(context, address)),
      pause_(context),
      onClient_(std::move(onClient)) {}

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
