// SPDX-License-Identifier: Apache-2.0
#include "server/net/listening_sockets.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/errors.h"

namespace netcow {
namespace {

bool connects(int family, std::uint16_t port) {
  const UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  v6.sin6_addr = IN6ADDR_LOOPBACK_INIT;
  return (family == AF_INET
              ? ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&v4), sizeof v4)
              : ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&v6), sizeof v6)) == 0;
}

TEST(ListeningSocketsTest, TheUnspecifiedIpv6AddressTakesBothKinds) {
  const auto sockets = listenOn({{"::", 0}});
  ASSERT_EQ(sockets.size(), 1U);
  const std::uint16_t port = localAddressOf(sockets[0].get()).port;
  EXPECT_TRUE(connects(AF_INET, port));
  EXPECT_TRUE(connects(AF_INET6, port));
}

TEST(ListeningSocketsTest, BothUnspecifiedAddressesMayHaveTheSamePort) {
  const std::uint16_t port = [] {
    const auto any = listenOn({{"::", 0}});
    return localAddressOf(any[0].get()).port;
  }();
  const auto sockets = listenOn({{"::", port}, {"0.0.0.0", port}});
  EXPECT_EQ(sockets.size(), 2U);
  EXPECT_TRUE(connects(AF_INET, port));
  EXPECT_TRUE(connects(AF_INET6, port));
}

TEST(ListeningSocketsTest, SaysWhyItCannotListen) {
  try {
    const auto first = listenOn({{"127.0.0.1", 0}});
    listenOn({localAddressOf(first[0].get())});
    FAIL() << "the same address twice";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("Address already in use"), std::string::npos);
  }
  EXPECT_THROW(listenOn({{"no-such-host.invalid", 5003}}), UserError);
}

}  // namespace
}  // namespace netcow
