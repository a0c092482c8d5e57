// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "format/image_name.h"

namespace netcow {

/// How long replies took: from the arrival of a request to when the last of its reply was given to
/// the system to send. So a client that is slow to receive counts as slow.
struct LatencyFigures {
  /// Upper bounds of the buckets in microseconds, each included; what took longer lies in one more.
  static constexpr std::array<std::uint64_t, 15> kBoundsMicroseconds = {
      50,     100,    250,     500,     1'000,   2'500,     5'000,    10'000,
      25'000, 50'000, 100'000, 250'000, 500'000, 1'000'000, 5'000'000};

  /// Replies in each bucket alone (not those below it as well).
  std::array<std::uint64_t, kBoundsMicroseconds.size() + 1> counts = {};
  std::uint64_t totalMicroseconds = 0;  ///< of all replies together
};

/// What a BlockServer did since it started, and who is there now: a copy that nobody changes.
struct BlockFigures {
  struct Image {
    ImageName image;
    std::uint64_t clients = 0;   ///< connected now
    std::uint64_t requests = 0;  ///< GET_BLOCKs, those answered with ERROR as well
    std::uint64_t bytes = 0;     ///< content sent
  };

  std::uint64_t clients = 0;          ///< connected now, also those that selected no image yet
  std::uint64_t acceptedClients = 0;  ///< since the start
  std::uint64_t refusedClients = 0;   ///< since the start, because there were too many
  std::uint64_t droppedClients = 0;   ///< since the start: silent, or broke the protocol
  std::uint64_t requests = 0;         ///< messages of any kind
  std::uint64_t errors = 0;           ///< GET_BLOCKs that got ERROR, or a reply that broke off
  std::uint64_t bytes = 0;            ///< content sent
  LatencyFigures latency;             ///< of replies of any kind
  /// Every image that a client selected since the start, by name and revision.
  std::vector<Image> images;
};

/// Counters of one image; see BlockFigures::Image. Thread-safe.
struct ImageCounters {
  std::atomic<std::uint64_t> clients = 0;
  std::atomic<std::uint64_t> requests = 0;
  std::atomic<std::uint64_t> bytes = 0;
};

/// Counts what a BlockServer does. Thread-safe; counting takes no lock, and figures that are read
/// while it goes on may lie one event apart from each other.
class BlockStatistics {
 public:
  /// The figures now.
  [[nodiscard]] BlockFigures figures() const;

  [[nodiscard]] std::uint64_t clients() const { return clients_; }

  void clientCame() { ++clients_, ++acceptedClients_; }
  void clientWent() { --clients_; }
  void clientRefused() { ++refusedClients_; }
  void clientDropped() { ++droppedClients_; }
  void requestsCame(std::uint64_t count) { requests_ += count; }
  void requestFailed() { ++errors_; }
  void contentSent(std::uint64_t bytes) { bytes_ += bytes; }
  void repliesSent(std::uint64_t count, std::chrono::nanoseconds each);

  /// The counters of an image, the same for all its clients; they live as long as anybody keeps
  /// them.
  std::shared_ptr<ImageCounters> countersOf(const ImageName& image);

 private:
  using Counter = std::atomic<std::uint64_t>;
  using ImageKey = std::pair<std::string, std::uint16_t>;  // name, revision

  Counter clients_ = 0;
  Counter acceptedClients_ = 0;
  Counter refusedClients_ = 0;
  Counter droppedClients_ = 0;
  Counter requests_ = 0;
  Counter errors_ = 0;
  Counter bytes_ = 0;
  std::array<Counter, LatencyFigures::kBoundsMicroseconds.size() + 1> latencyCounts_ = {};
  Counter latencyMicroseconds_ = 0;
  mutable Mutex mutex_;
  // Only images that exist get here, so it cannot grow without end.
  std::map<ImageKey, std::shared_ptr<ImageCounters>> images_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow
