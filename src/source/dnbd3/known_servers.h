// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "source/dnbd3/round_trip.h"
#include "source/dnbd3/socket_address.h"

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

  /// The most servers kept that servers named: what they say must not fill the memory.
  static constexpr std::size_t kMaxLearned = 32;
  /// The most servers kept at all: 16 hosts with two addresses, learned ones, and as many
  /// addresses that the hosts moved to later.
  static constexpr std::size_t kMaxServers = 96;

  enum class Origin { named, learned };
  /// `label` names it to people. False if it is known already or there are too many.
  bool add(const SocketAddress& address, const std::string& label, Origin origin = Origin::named);

  [[nodiscard]] std::size_t count() const { return servers_.size(); }
  [[nodiscard]] const SocketAddress& address(std::size_t server) const;
  [[nodiscard]] const std::string& label(std::size_t server) const;
  /// When it may be tried again; in the past for one that has not failed.
  [[nodiscard]] Clock::Time notBefore(std::size_t server) const;

  /// It could not be reached, or did not keep to the protocol, or cut the connection.
  void failed(std::size_t server, Clock::Time now);
  /// It has served well for long enough that earlier failures delay it no more.
  void proved(std::size_t server);

  /// It agreed to serve the image; `roundTrip`: how fast it gave a block, if that was measured.
  void answered(std::size_t server, std::optional<RoundTrip::Time> roundTrip);
  /// A measurement failed. That is counted and changes no delay: nobody wanted to read from it.
  void missed(std::size_t server);

  /// What people want to know of a server.
  struct Record {
    std::optional<RoundTrip::Time> roundTrip;  ///< smoothed over the measurements
    std::uint64_t failuresInRow = 0;           ///< since it last answered
    std::uint64_t failures = 0;                ///< in all
  };
  [[nodiscard]] Record record(std::size_t server) const;
  /// Grows whenever something about the servers changes.
  [[nodiscard]] std::uint64_t version() const { return version_; }

 private:
  /// Measurements are rare, so each counts for more than those of a connection in use.
  static constexpr int kWeight = 4;
  struct Server {
    SocketAddress address;
    std::string label;
    unsigned delays = 0;  // how often the delay has doubled
    Clock::Time notBefore;
    RoundTrip roundTrip{kWeight};
    std::uint64_t failuresInRow = 0;
    std::uint64_t failures = 0;
  };
  RetryDelays delays_;
  std::vector<Server> servers_;
  std::size_t learned_ = 0;
  std::uint64_t version_ = 0;
};

}  // namespace netcow
