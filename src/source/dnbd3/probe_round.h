// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "source/dnbd3/handshake.h"
#include "source/dnbd3/known_servers.h"

namespace netcow {

/// Measures every known server once, all at the same time and in the same way: connect, select the
/// image, read one block. What is equal for all of them (a busy line of this machine, a busy
/// receiver) makes all of them slower and leaves their order.
///
/// Does not block and has no thread: its owner polls what addTo() names, at most until nextEvent(),
/// and calls advance(). Not thread-safe.
class ProbeRound {
 public:
  /// Begins to connect. Each server has `limit` for all of it.
  ProbeRound(const KnownServers& servers, const WantedImage& wanted,
             std::chrono::milliseconds limit, Clock::Time now);

  /// Appends what to poll for.
  void addTo(std::vector<pollfd>& polled) const;
  [[nodiscard]] Clock::Time nextEvent() const { return deadline_; }
  /// Goes on as far as it can without waiting. True: every server has answered or failed.
  bool advance(Clock::Time now);

  /// What became of one server; `handshake` is the connection to it if it agreed.
  struct Result {
    std::size_t server = 0;
    std::unique_ptr<Handshake> handshake;
    std::optional<RoundTrip::Time> roundTrip;
  };
  /// When advance() has returned true, once.
  std::vector<Result> takeResults();

 private:
  std::vector<Result> results_;
  Clock::Time deadline_;
};

}  // namespace netcow
