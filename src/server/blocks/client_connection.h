// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "server/blocks/block_server.h"
#include "server/blocks/client_protocol.h"

namespace netcow {

/// One dnbd3 client: moves bytes between its socket and a ClientProtocol.
///
/// At most one read and one write are on their way. Reading pauses while the protocol's queue is
/// full, so a client that asks but does not listen stops being heard, and is dropped when nothing
/// has moved for the longest silence. Everything runs on the strand of the socket; pending
/// operations keep the object alive.
class ClientConnection : public std::enable_shared_from_this<ClientConnection> {
 public:
  /// The references must outlive the connection.
  ClientConnection(boost::asio::ip::tcp::socket socket, const ImageCatalog& catalog,
                   const BlockServerOptions& options, BlockStatistics& statistics);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;
  void start();

 private:
  using Error = boost::system::error_code;

  void readMore();
  void onRead(const Error& error, std::size_t length);
  bool takeRequests();
  void writeMore();
  void onWritten(const Error& error);
  void proceed();
  void watchSilence();
  void close();

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer silence_;
  const BlockServerOptions& options_;
  BlockStatistics& statistics_;
  ClientProtocol protocol_;

  std::vector<std::byte> input_;
  std::size_t inputLength_ = 0;  // bytes of input_ that are not taken yet
  std::unique_ptr<std::byte[]> output_;
  bool reading_ = false;
  bool writing_ = false;
  bool clientIsDone_ = false;  // it will send no more, but may wait for replies
  Clock::Time lastMoved_;
};

}  // namespace netcow
