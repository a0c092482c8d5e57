// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/clock.h"
#include "source/socket_address.h"

namespace netcow {

/// How long a server that failed is left alone: `first`, then twice as long each time, at most
/// `longest`.
struct RetryDelays {
  std::chrono::milliseconds first;
  std::chrono::milliseconds longest;
};

/// The servers a mount may read from, those the user named and those learned from servers, with
/// what is known of each. Servers are only ever added; their numbers stay. Not thread-safe.
///
/// Each server has a delay of its own, so that one which cuts every connection (a bad disk under
/// one block is enough) soon leaves the others the first word.
class KnownServers {
 public:
  explicit KnownServers(RetryDelays delays) : delays_(delays) {}

  /// The most servers kept: 16 hosts with two addresses, and as many learned ones.
  static constexpr std::size_t kMaxServers = 64;

  /// `label` names it to people. False if it is known already or there are too many.
  bool add(const SocketAddress& address, const std::string& label);

  [[nodiscard]] std::size_t count() const { return servers_.size(); }
  [[nodiscard]] const SocketAddress& address(std::size_t server) const;
  [[nodiscard]] const std::string& label(std::size_t server) const;
  /// When it may be tried again; in the past for one that has not failed.
  [[nodiscard]] Clock::Time notBefore(std::size_t server) const;

  /// It could not be reached, or did not keep to the protocol, or cut the connection.
  void failed(std::size_t server, Clock::Time now);
  /// It has served well for long enough that earlier failures count no more.
  void proved(std::size_t server);

 private:
  struct Server {
    SocketAddress address;
    std::string label;
    unsigned failures = 0;  // in a row
    Clock::Time notBefore;
  };
  RetryDelays delays_;
  std::vector<Server> servers_;
};

}  // namespace netcow
