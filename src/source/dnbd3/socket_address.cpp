// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/socket_address.h"

#include <netdb.h>

#include <cstring>

namespace netcow {

std::optional<SocketAddress> SocketAddress::from(const sockaddr* address, socklen_t length) {
  SocketAddress result;
  const bool isV4 = address->sa_family == AF_INET && length >= sizeof(sockaddr_in);
  const bool isV6 = address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6);
  if (!isV4 && !isV6) {
    return std::nullopt;
  }
  std::memcpy(&result.address_, address, isV4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return result;
}

std::optional<SocketAddress> SocketAddress::from(const dnbd3::ServerEntry& entry) {
  SocketAddress result;
  in_port_t port = 0;  // in network order, as the entry has it
  static_assert(sizeof port == sizeof entry.port);
  std::memcpy(&port, entry.port.data(), sizeof port);
  if (port == 0) {
    return std::nullopt;
  }
  if (entry.type == dnbd3::ServerEntry::kIpv4) {
    result.address_.v4.sin_family = AF_INET;
    result.address_.v4.sin_port = port;
    std::memcpy(&result.address_.v4.sin_addr, entry.address.data(), sizeof(in_addr));
    return result;
  }
  if (entry.type == dnbd3::ServerEntry::kIpv6) {
    result.address_.v6.sin6_family = AF_INET6;
    result.address_.v6.sin6_port = port;
    std::memcpy(&result.address_.v6.sin6_addr, entry.address.data(), sizeof(in6_addr));
    return result;
  }
  return std::nullopt;
}

socklen_t SocketAddress::length() const {
  return family() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

std::string SocketAddress::text() const {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (::getnameinfo(get(), length(), host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "an address that has no name";
  }
  const std::string name = host;
  return (family() == AF_INET6 ? "[" + name + "]" : name) + ":" + port;
}

bool SocketAddress::operator==(const SocketAddress& other) const {
  if (family() != other.family()) {
    return false;
  }
  if (family() == AF_INET) {
    const auto& mine = address_.v4;
    const auto& theirs = other.address_.v4;
    return mine.sin_port == theirs.sin_port && mine.sin_addr.s_addr == theirs.sin_addr.s_addr;
  }
  const auto& mine = address_.v6;
  const auto& theirs = other.address_.v6;
  return mine.sin6_port == theirs.sin6_port && mine.sin6_scope_id == theirs.sin6_scope_id &&
         std::memcmp(&mine.sin6_addr, &theirs.sin6_addr, sizeof(in6_addr)) == 0;
}

}  // namespace netcow
