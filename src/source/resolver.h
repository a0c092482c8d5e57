// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "source/host_list.h"
#include "source/socket_address.h"

namespace netcow {

/// What became of one host's name.
struct ResolvedHost {
  Host host;
  std::vector<SocketAddress> addresses;  ///< at most kMaxAddresses; empty: see `error`
  std::string error;                     ///< why there is no address, for people
};

/// The most addresses used of one name.
inline constexpr std::size_t kMaxAddresses = 2;

/// Looks all hosts up at the same time and waits at most `limit` for the slowest. One that takes
/// longer counts as failed (a thread of its own is left behind until the system's resolver gives
/// up). The result has the order of `hosts`.
std::vector<ResolvedHost> resolveHosts(const std::vector<Host>& hosts,
                                       std::chrono::milliseconds limit);

}  // namespace netcow
