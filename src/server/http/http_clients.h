// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "server/http/body_memory.h"
#include "server/http/client_limits.h"
#include "server/http/http_server.h"
#include "server/http/unanswered_requests.h"

namespace netcow {

/// What all connections of one HttpServer share.
struct HttpShared {
  HttpShared(HttpServerOptions givenOptions, HttpHandler givenHandler)
      : options(std::move(givenOptions)),
        handler(std::move(givenHandler)),
        limits(options.limits),
        bodies(options.bodyMemory) {}

  const HttpServerOptions options;
  const HttpHandler handler;
  ClientLimits limits;
  BodyMemory bodies;
  std::atomic<std::uint64_t> sequence = 0;  ///< of the last request whose header came in
  UnansweredRequests unanswered;
};

/// A client that was accepted.
struct HttpClientSocket {
  boost::asio::ip::tcp::socket socket;
  std::string address;
  std::unique_ptr<ClientLimits::Place> place;
};

/// Serves one client until it leaves. Its connection keeps itself alive, within `shared`.
void servePlainClient(HttpClientSocket client, HttpShared& shared);
/// The same over TLS.
void serveTlsClient(HttpClientSocket client, HttpShared& shared,
                    std::shared_ptr<boost::asio::ssl::context> tls);

}  // namespace netcow
