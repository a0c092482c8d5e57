// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>
#include <string>

#include "format/dnbd3_messages.h"

namespace netcow {

/// An IPv4 or IPv6 address with a port. A value.
class SocketAddress {
 public:
  /// Nothing for any other family of addresses.
  static std::optional<SocketAddress> from(const sockaddr* address, socklen_t length);
  /// What a server said of another; nothing if the entry is empty or senseless.
  static std::optional<SocketAddress> from(const dnbd3::ServerEntry& entry);

  [[nodiscard]] const sockaddr* get() const { return &address_.any; }
  [[nodiscard]] socklen_t length() const;
  [[nodiscard]] int family() const { return address_.any.sa_family; }
  /// "v4:port" or "[v6]:port".
  [[nodiscard]] std::string text() const;
  bool operator==(const SocketAddress& other) const;

 private:
  union Storage {
    sockaddr_in6 v6;
    sockaddr_in v4;
    sockaddr any;
  };
  SocketAddress() = default;
  Storage address_ = {};
};

}  // namespace netcow
