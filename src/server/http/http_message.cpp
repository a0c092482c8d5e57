// SPDX-License-Identifier: Apache-2.0
#include "server/http/http_message.h"

#include <exception>

#include "base/logging.h"

namespace netcow {

HttpReply::~HttpReply() {
  if (send_) {
    (*this)({.status = 500, .body = "the request failed; the server's log says why\n"});
  }
}

HttpHandler answeringAtOnce(std::function<HttpResponse(const HttpRequest&)> answer) {
  return [answer = std::move(answer)](HttpRequest&& request, HttpReply reply) {
    try {
      reply(answer(request));
    } catch (const std::exception& error) {
      spdlog::error("{} {}: {}", request.method, request.target, error.what());
      reply({.status = 500, .body = error.what() + std::string("\n")});
    }
  };
}

}  // namespace netcow
