// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "server/http/body_pace.h"
#include "server/http/client_limits.h"
#include "server/http/http_exchange.h"
#include "server/http/http_message.h"
#include "server/http/tls_context.h"
#include "server/net/listen_address.h"

namespace netcow {

struct HttpServerOptions {
  std::vector<ListenAddress> addresses = {{"127.0.0.1", 5000}};
  /// Longer bodies are refused with 413 before they are read.
  std::uint64_t longestBody = std::uint64_t{2} << 20U;
  /// A client of which nothing comes for so long between two requests or in the middle of a body,
  /// or that does not take an answer in that time, is dropped.
  std::chrono::milliseconds longestSilence = std::chrono::seconds(60);
  /// A header that takes longer, and a TLS handshake, end the connection.
  std::chrono::milliseconds longestHeader = std::chrono::seconds(20);
  /// So does a body that comes slower.
  BodyPace bodyPace = {};
  HttpLimits limits = {};
  /// What the bodies of all requests that are not answered may take together; more get 503.
  std::uint64_t bodyMemory = std::uint64_t{512} << 20U;
  /// How long clients may take for their last answers when the server ends.
  std::chrono::milliseconds patienceAtTheEnd = std::chrono::seconds(5);
  TlsFiles tls = {};
  /// Told of every answer; from several threads. May be empty.
  std::function<void(const HttpExchange&)> onAnswered = {};
};

/// HTTP/1.1, or the same over TLS, with keep-alive; one request at a time on each connection.
/// `Expect: 100-continue` is answered as soon as the header is there.
class HttpServer {
 public:
  /// Listens from here on. Throws UserError when an address cannot be had, or for wrong TLS files.
  HttpServer(HttpServerOptions options, HttpHandler handler);
  /// Waits until every request that a handler has is answered, then drops all clients.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Begins to serve.
  void start();
  /// For clients that come from now on. Throws UserError, and then nothing changes; turning TLS on
  /// or off is none of it.
  void replaceTls(const TlsFiles& files);
  void replaceLimits(HttpLimits limits);
  /// Where it really listens (options may say port 0), in the order of the options.
  [[nodiscard]] std::vector<ListenAddress> addresses() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace netcow
