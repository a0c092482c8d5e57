// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/unique_function.h"

namespace netcow {

/// Fields of a header: names (in lower case in a request) and values.
using HttpFields = std::vector<std::pair<std::string, std::string>>;

/// A whole HTTP request, without what only the connection needs to know.
struct HttpRequest {
  std::string method;  ///< "GET", "POST"
  std::string target;  ///< path and query as the client sent them
  std::vector<std::byte> body;
  HttpFields fields = {};   ///< the header, in the order in which it came
  std::string client = {};  ///< its address
  /// Counts up in the order in which the headers of a server's requests came in.
  std::uint64_t sequence = 0;

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
  std::string caller = {};                         ///< who asked, as far as known: for the log
};

/// The duty to answer one request: called once, at once or later, on any thread. Destroyed without
/// that, it answers 500 itself, so that no client waits for ever. Must not outlive its server.
class HttpReply {
 public:
  using Send = UniqueFunction<void(HttpResponse)>;

  explicit HttpReply(Send send) : send_(std::move(send)) {}
  HttpReply(HttpReply&& other) noexcept : send_(std::move(other.send_)) {}
  HttpReply& operator=(HttpReply&&) = delete;
  ~HttpReply();

  void operator()(HttpResponse response) { Send(std::move(send_))(std::move(response)); }

 private:
  Send send_;  // empty once it was used or moved away
};

/// Begins to answer one request; called from several threads at once, which serve all clients: what
/// waits for a disk belongs elsewhere. An exception becomes a 500.
using HttpHandler = std::function<void(HttpRequest&&, HttpReply)>;

/// A handler of what is known at once. An exception becomes a 500 with its text.
HttpHandler answeringAtOnce(std::function<HttpResponse(const HttpRequest&)> answer);

}  // namespace netcow
