// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "server/raw_client.h"

namespace netcow::test {

struct HttpAnswer {
  unsigned status = 0;
  std::string header;
  std::string body;
};

/// An HTTP client that sends what it is told and nothing else.
class HttpClient {
 public:
  explicit HttpClient(std::uint16_t port) : client_(port) {}

  void send(const std::string& text) { client_.send(text); }
  void send(const std::vector<std::byte>& bytes) { client_.send(bytes); }

  HttpAnswer get(const std::string& target) {
    send("GET " + target + " HTTP/1.1\r\nHost: test\r\n\r\n");
    return receive();
  }

  HttpAnswer post(const std::string& target, const std::vector<std::byte>& body) {
    send("POST " + target +
         " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    send(body);
    return receive();
  }
  HttpAnswer post(const std::string& target, const std::string& form) {
    send("POST " + target +
         " HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-www-form-urlencoded\r\n"
         "Content-Length: " +
         std::to_string(form.size()) + "\r\n\r\n" + form);
    return receive();
  }

  /// The answer to a HEAD has the length of a body, and none.
  HttpAnswer head(const std::string& target) {
    send("HEAD " + target + " HTTP/1.1\r\nHost: test\r\n\r\n");
    return receiveHeader();
  }

  /// One answer; a "100 Continue" counts as one.
  HttpAnswer receive() {
    HttpAnswer answer = receiveHeader();
    const std::string name = "\r\nContent-Length: ";
    const std::size_t length = answer.header.find(name);
    if (length != std::string::npos) {
      answer.body = text(std::stoul(answer.header.substr(length + name.size())));
    }
    return answer;
  }

  /// True when the server ends the connection, with nothing more to say.
  bool isClosed() { return client_.receiveUntilClosed().empty(); }
  RawClient& raw() { return client_; }

 private:
  HttpAnswer receiveHeader() {
    HttpAnswer answer;
    while (!answer.header.ends_with("\r\n\r\n")) {
      answer.header += text(1);
    }
    answer.status = static_cast<unsigned>(std::atoi(answer.header.substr(9, 3).c_str()));
    return answer;
  }

  std::string text(std::size_t length) {
    const auto bytes = client_.receive(length);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  RawClient client_;
};

}  // namespace netcow::test
