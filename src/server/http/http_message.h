// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace netcow {

/// Fields of a header: names (in lower case in a request) and values.
using HttpFields = std::vector<std::pair<std::string, std::string>>;

/// A whole HTTP request, without what only the connection needs to know.
struct HttpRequest {
  std::string method;  ///< "GET", "POST"
  std::string target;  ///< path and query as the client sent them
  std::vector<std::byte> body;
  HttpFields fields = {};  ///< the header, in the order in which it came

  /// The value of a field, the first one's if it is there more than once; null if it is not there.
  /// `name` in lower case.
  [[nodiscard]] const std::string* field(std::string_view name) const {
    for (const auto& [fieldName, value] : fields) {
      if (fieldName == name) {
        return &value;
      }
    }
    return nullptr;
  }
};

/// What the client hears.
struct HttpResponse {
  unsigned status = 200;
  std::string body = {};
  std::string contentType = "text/plain; charset=utf-8";
  std::string allow = {};                          ///< methods that would do, with status 405
  std::optional<unsigned> retryAfterSeconds = {};  ///< with status 503: slow down
  HttpFields fields = {};                          ///< what else the header says
};

/// Answers one request; called from several threads at once. May wait for the disk. An exception
/// becomes a 500 with its text.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

}  // namespace netcow
