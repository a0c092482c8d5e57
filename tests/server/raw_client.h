// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace netcow::test {

/// A TCP client that sends and receives plain bytes. What does not come within 30 seconds is an
/// exception, so a test that would hang fails.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit = {30, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      fail("connect");
    }
  }

  void send(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) {
        fail("send");
      }
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }
  void send(const std::string& text) { send(std::as_bytes(std::span(text))); }

  /// Sends as much as the connection takes before it is full for `limit`; returns how much.
  std::size_t sendWithoutWaiting(std::span<const std::byte> bytes,
                                 std::chrono::milliseconds limit) {
    std::size_t sent = 0;
    while (sent < bytes.size() && isReady(POLLOUT, limit)) {
      const ssize_t now =
          ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (now < 0) {
        fail("send");
      }
      sent += static_cast<std::size_t>(now);
    }
    return sent;
  }

  /// Whether bytes, or the end of the connection, arrive in time.
  bool hasSomethingWithin(std::chrono::milliseconds limit) { return isReady(POLLIN, limit); }

  /// For libraries that speak over the connection.
  [[nodiscard]] int descriptor() const { return fd_.get(); }

  /// Tells the server that nothing more will come.
  void finishSending() { ::shutdown(fd_.get(), SHUT_WR); }

  /// At least one byte and at most `most`; none when the server closed the connection.
  std::vector<std::byte> receiveSome(std::size_t most) {
    std::vector<std::byte> bytes(most);
    const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (got < 0 && errno != ECONNRESET) {
      fail("receive");
    }
    bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return bytes;
  }

  std::vector<std::byte> receive(std::size_t length) {
    std::vector<std::byte> bytes;
    while (bytes.size() < length) {
      const auto part = receiveSome(length - bytes.size());
      if (part.empty()) {
        throw std::runtime_error("the server closed the connection after " +
                                 std::to_string(bytes.size()) + " of " + std::to_string(length) +
                                 " bytes");
      }
      bytes.insert(bytes.end(), part.begin(), part.end());
    }
    return bytes;
  }

  std::vector<std::byte> receiveUntilClosed() {
    std::vector<std::byte> bytes;
    for (;;) {
      const auto part = receiveSome(65'536);
      if (part.empty()) {
        return bytes;
      }
      bytes.insert(bytes.end(), part.begin(), part.end());
    }
  }

 private:
  bool isReady(short events, std::chrono::milliseconds limit) {
    pollfd ready = {fd_.get(), events, 0};
    return ::poll(&ready, 1, static_cast<int>(limit.count())) == 1;
  }

  [[noreturn]] static void fail(const char* what) {
    throw std::runtime_error(std::string("cannot ") + what + ": " + std::strerror(errno));
  }

  UniqueFd fd_;
};

}  // namespace netcow::test
