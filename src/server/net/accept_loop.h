// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>

#include "base/unique_fd.h"
#include "server/net/listen_address.h"

namespace netcow {

/// Waits at one socket and hands out every client that comes. When the process has no
/// descriptors left, clients wait in the kernel's queue until there are some again.
class AcceptLoop {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  /// Runs on a thread of the io_context; the socket has a strand of its own.
  using ClientHandler = std::function<void(Socket)>;

  /// `listening`: one of those that listenOn() makes.
  AcceptLoop(boost::asio::io_context& context, UniqueFd listening, ClientHandler onClient);

  /// Begins to accept. The loop must outlive the io_context's threads.
  void start();

  /// Where it really listens.
  [[nodiscard]] ListenAddress address() const;

 private:
  void acceptOne();
  void onAccept(const boost::system::error_code& error, Socket socket);

  boost::asio::io_context& context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  ClientHandler onClient_;
  bool complained_ = false;
};

}  // namespace netcow
