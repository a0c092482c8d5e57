// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "source/dnbd3/known_servers.h"
#include "source/dnbd3/resolver.h"

namespace netcow {

/// Adds the addresses of a host to the known servers. Returns how many are new.
std::size_t addServers(KnownServers& servers, const ResolvedHost& resolved);

/// Looks the hosts' names up again while no server can be reached: a server may have come back
/// with another address. Addresses given as numbers are left alone. Does not block; not
/// thread-safe.
class NameRefresher {
 public:
  /// The first time is `after` a search began, the next ones follow `every`.
  NameRefresher(const std::vector<Host>& hosts, std::chrono::milliseconds after,
                std::chrono::milliseconds every);

  /// No server can be reached from now on.
  void begin(Clock::Time now);
  /// One is: answers that are still to come are of no use.
  void end();
  /// When advance() should be called; Time::max() if never.
  [[nodiscard]] Clock::Time nextEvent(Clock::Time now) const;
  /// Goes on as far as it can without waiting. Returns what was found out now.
  std::vector<ResolvedHost> advance(Clock::Time now);

 private:
  std::vector<Host> names_;
  const std::chrono::milliseconds after_;
  const std::chrono::milliseconds every_;
  Clock::Time next_ = Clock::Time::max();
  std::optional<NameLookup> lookup_;  // under way, or the last one
};

}  // namespace netcow
