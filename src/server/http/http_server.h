// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "server/http/http_message.h"
#include "server/net/listen_address.h"

namespace netcow {

struct HttpServerOptions {
  ListenAddress address = {"127.0.0.1", 5000};
  /// Longer bodies are refused with 413 before they are read.
  std::uint64_t longestBody = std::uint64_t{2} << 20U;
  /// A client of which nothing comes for so long, between requests or in the middle of one, or
  /// that does not take an answer, is dropped.
  std::chrono::milliseconds longestSilence = std::chrono::seconds(60);
};

/// HTTP/1.1 with keep-alive, one request at a time on each connection. `Expect: 100-continue` is
/// answered as soon as the header is there.
class HttpServer {
 public:
  /// Listens from here on. Throws UserError when the address cannot be had.
  HttpServer(HttpServerOptions options, HttpHandler handler);
  /// Waits until every request that a handler has is answered, then drops all clients.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Begins to serve.
  void start();
  /// Where it really listens (options may say port 0).
  [[nodiscard]] ListenAddress address() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace netcow
