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
#include "base/unique_fd.h"
#include "source/dnbd3/handshake.h"
#include "source/dnbd3/known_servers.h"

namespace netcow {

/// A search for a server that has the wanted image.
///
/// All candidates are tried at the same time, each as soon as KnownServers allows; the first that
/// agrees wins. Does not block and has no thread: its owner polls what addTo() names, at most until
/// nextEvent(), and calls advance(). Servers that become known meanwhile join. Not thread-safe.
class ServerFinder {
 public:
  enum class Effort {
    once,        ///< over when every candidate failed once
    untilFound,  ///< candidates that failed are tried again for ever
  };
  struct Settings {
    WantedImage wanted;
    Effort effort = Effort::once;
    std::chrono::milliseconds limit{0};  ///< for connect and SELECT_IMAGE with one server
    std::optional<std::size_t> except;   ///< a server that is no candidate
    /// What agreeing takes; with Goal::measure a server whose disk hangs does not win.
    Handshake::Goal goal = Handshake::Goal::select;
    bool atOnce = false;  ///< the first try ignores the servers' delays
  };
  struct Found {
    std::size_t server = 0;  ///< its number in KnownServers
    UniqueFd socket;         ///< non-blocking; the image is selected
    dnbd3::SelectReply reply;
    std::optional<RoundTrip::Time> roundTrip;  ///< with Goal::measure
  };

  /// `servers` must outlive the finder; failures are noted there.
  ServerFinder(KnownServers& servers, Settings settings);

  /// Appends what to poll for.
  void addTo(std::vector<pollfd>& polled) const;
  /// When advance() must be called even if nothing is ready; Time::max() if never.
  [[nodiscard]] Clock::Time nextEvent() const;
  /// Goes on as far as it can without waiting. Returns the winner; the search is over then.
  std::optional<Found> advance(Clock::Time now);
  /// Every candidate has failed (Effort::once only). True at once if there is none.
  [[nodiscard]] bool hasFailed() const;
  /// "host1: why; host2: why", for those that failed.
  [[nodiscard]] std::string failures() const;

 private:
  struct Attempt {
    std::size_t server = 0;
    std::unique_ptr<Handshake> handshake;  // while one is under way
    Clock::Time deadline;                  // of the handshake
    std::string failure;                   // of the last handshake
    bool isOver = false;                   // will not be tried again
    bool hasBegun = false;                 // was tried already
  };
  void addCandidates();
  [[nodiscard]] Clock::Time notBefore(const Attempt& attempt) const;
  [[nodiscard]] bool advance(Attempt& attempt, Clock::Time now);
  void noteFailure(Attempt& attempt, const std::string& why, Clock::Time now);

  KnownServers& servers_;
  Settings settings_;
  std::vector<Attempt> attempts_;
  std::size_t looked_ = 0;  // servers that have been considered as candidates
};

}  // namespace netcow
