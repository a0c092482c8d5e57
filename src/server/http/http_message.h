// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace netcow {

/// A whole HTTP request, without what only the connection needs to know.
struct HttpRequest {
  std::string method;  ///< "GET", "POST"
  std::string target;  ///< path and query as the client sent them
  std::vector<std::byte> body;
};

/// What the client hears.
struct HttpResponse {
  unsigned status = 200;
  std::string body = {};
  std::string contentType = "text/plain; charset=utf-8";
  std::string allow = {};                          ///< methods that would do, with status 405
  std::optional<unsigned> retryAfterSeconds = {};  ///< with status 503: slow down
};

/// Answers one request; called from several threads at once. May wait for the disk. An exception
/// becomes a 500 with its text.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

}  // namespace netcow
