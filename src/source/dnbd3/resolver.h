// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "source/dnbd3/host_list.h"
#include "source/dnbd3/socket_address.h"

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

/// Whether a host is given by its address, which never has to be looked up.
bool isNumeric(const Host& host);

/// Looks hosts up beside its owner, by a thread for each. Not thread-safe. The threads outlive it
/// until the system's resolver has answered them.
class NameLookup {
 public:
  /// Begins.
  explicit NameLookup(const std::vector<Host>& hosts);

  /// Every host has an answer.
  [[nodiscard]] bool isOver() const;
  /// Waits until it is over, but not longer.
  void waitAtMost(std::chrono::milliseconds limit);
  /// The answers that came since the last call.
  std::vector<ResolvedHost> takeAnswers();

 private:
  struct Answers;
  std::shared_ptr<Answers> answers_;
};

}  // namespace netcow
