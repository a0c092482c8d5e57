// SPDX-License-Identifier: Apache-2.0
// A TCP proxy on 127.0.0.1 that makes every round trip longer, for measuring what a network that is
// far away costs. Prints the port that it listens on; ends with its standard input.
//
//   delay_proxy --server PORT [--round-trip MS]   carries to 127.0.0.1:PORT
//   delay_proxy --measure [--round-trip MS]       says how many MB/s it carries, and ends
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include "base/errors.h"
#include "base/unique_fd.h"
#include "support/fault_proxy.h"

namespace netcow::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPart = std::size_t{256} << 10U;
constexpr std::chrono::seconds kMeasured{2};

UniqueFd makeSocket() {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) {
    throwErrno("cannot make a socket");
  }
  return socket;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

/// A server that sends to one client as fast as that takes it.
class Sender {
 public:
  Sender() : listener_(makeSocket()) {
    sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_.get(), any, length) != 0 || ::listen(listener_.get(), 1) != 0 ||
        ::getsockname(listener_.get(), any, &length) != 0) {
      throwErrno("cannot listen on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] { send(); });
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void send() {
    const UniqueFd client(::accept(listener_.get(), nullptr, nullptr));
    const std::vector<std::byte> part(kPart);
    while (::send(client.get(), part.data(), part.size(), MSG_NOSIGNAL) > 0) {
    }
  }
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::jthread thread_;
};

/// Megabytes a second that one connection through the proxy carries.
double measure(const NetworkFaults& faults) {
  const Sender sender;
  const FaultProxy proxy(sender.port(), faults);
  const UniqueFd socket = makeSocket();
  const sockaddr_in address = loopback(proxy.port());
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throwErrno("cannot connect to the proxy");
  }
  std::vector<std::byte> part(kPart);
  std::uint64_t bytes = 0;
  ssize_t got = ::recv(socket.get(), part.data(), part.size(), 0);  // not counted: the beginning
  const Clock::time_point begin = Clock::now();
  while (got > 0 && Clock::now() - begin < kMeasured) {
    got = ::recv(socket.get(), part.data(), part.size(), 0);
    bytes += static_cast<std::uint64_t>(std::max<ssize_t>(got, 0));
  }
  const std::chrono::duration<double> time = Clock::now() - begin;
  return static_cast<double>(bytes) / 1e6 / time.count();
}

void carryUntilInputEnds(std::uint16_t server, const NetworkFaults& faults) {
  const FaultProxy proxy(server, faults);
  std::printf("%d\n", proxy.port());
  std::fflush(stdout);
  char ignored = 0;
  while (::read(STDIN_FILENO, &ignored, 1) > 0) {
  }
}

}  // namespace
}  // namespace netcow::test

int main(int argc, char** argv) {
  CLI::App app("Makes every round trip to a server of this machine longer");
  std::uint16_t server = 0;
  double roundTrip = 0;
  bool measures = false;
  auto* const serverOption = app.add_option("--server", server, "Its port");
  app.add_option("--round-trip", roundTrip, "Milliseconds added")->check(CLI::NonNegativeNumber);
  app.add_flag("--measure", measures, "Say how many MB/s go through, and end")
      ->excludes(serverOption);
  CLI11_PARSE(app, argc, argv);
  netcow::test::NetworkFaults faults;
  faults.delay = std::chrono::microseconds(static_cast<std::int64_t>(roundTrip * 500));
  try {
    if (measures) {
      std::printf("%.0f\n", netcow::test::measure(faults));
    } else {
      netcow::test::carryUntilInputEnds(server, faults);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "delay_proxy: %s\n", error.what());
    return 1;
  }
  return 0;
}
