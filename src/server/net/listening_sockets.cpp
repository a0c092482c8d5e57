// SPDX-License-Identifier: Apache-2.0
#include "server/net/listening_sockets.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "base/errors.h"

namespace netcow {
namespace {

// Thousands of clients come back at the same moment after a restart; the system cuts this down to
// net.core.somaxconn.
constexpr int kBacklog = 4096;

using Resolved = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

[[noreturn]] void refuse(const ListenAddress& address, const std::string& why) {
  throw UserError("cannot listen on " + address.text() + ": " + why +
                  "; name another address with --listen or --http");
}

Resolved resolve(const ListenAddress& address) {
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) {
    refuse(address, error == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(error));
  }
  return {found, &::freeaddrinfo};
}

std::uint16_t& portOf(sockaddr& address) {
  return address.sa_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                       : reinterpret_cast<sockaddr_in&>(address).sin_port;
}

UniqueFd listenOnOne(const ListenAddress& named, const addrinfo& at, bool onlyIpv6) {
  UniqueFd socket(::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int one = 1;
  const int only = onlyIpv6 ? 1 : 0;
  if (!socket || ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
      (at.ai_family == AF_INET6 &&
       ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) ||
      ::bind(socket.get(), at.ai_addr, at.ai_addrlen) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    refuse(named, std::strerror(errno));
  }
  return socket;
}

bool isIpv4(const ListenAddress& address) {
  return address.host.find(':') == std::string::npos;
}

}  // namespace

std::vector<UniqueFd> listenOn(const std::vector<ListenAddress>& addresses) {
  std::vector<UniqueFd> sockets;
  for (const ListenAddress& address : addresses) {
    const bool onlyIpv6 = std::ranges::any_of(addresses, [&](const ListenAddress& other) {
      return isIpv4(other) && other.port == address.port;
    });
    std::uint16_t port = 0;  // the one that the first address of this name got
    const Resolved found = resolve(address);
    for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
      if (address.port == 0) {
        portOf(*at->ai_addr) = htons(port);
      }
      sockets.push_back(listenOnOne(address, *at, onlyIpv6));
      port = localAddressOf(sockets.back().get()).port;
    }
  }
  return sockets;
}

ListenAddress localAddressOf(int socket) {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throwErrno("cannot tell where a socket listens");
  }
  char text[INET6_ADDRSTRLEN] = {};
  const void* binary =
      address.ss_family == AF_INET6
          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr)
          : &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  ::inet_ntop(address.ss_family, binary, text, sizeof text);
  return {text, ntohs(portOf(reinterpret_cast<sockaddr&>(address)))};
}

}  // namespace netcow
