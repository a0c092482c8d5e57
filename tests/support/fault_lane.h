// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <span>
#include <vector>

#include "support/fault_proxy.h"

namespace netcow::test {

/// One direction of a connection through a FaultProxy: what came in waits here until it is due.
/// Not thread-safe; never blocks.
class FaultLane {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// From one non-blocking socket to another; both outlive the lane.
  FaultLane(int from, int to, bool carriesReplies, std::uint64_t seed);

  /// What poll() should look for on the two sockets.
  [[nodiscard]] bool wantsInput() const { return !ended_ && queued_ < kMostQueued; }
  [[nodiscard]] bool wantsRoom() const { return full_; }
  /// When something queued becomes due; Time::max() if nothing is queued.
  [[nodiscard]] Time nextDue() const;
  /// The sender has closed and all it sent is delivered.
  [[nodiscard]] bool isOver() const { return ended_ && queue_.empty(); }

  /// Takes in what has arrived. False if the connection is broken.
  bool receive(Time now, const NetworkFaults& faults);
  /// Sends what is due, at most `limit` bytes. False if the connection is broken.
  bool send(Time now, const NetworkFaults& faults, std::uint64_t limit);
  /// Bytes sent on so far.
  [[nodiscard]] std::uint64_t carried() const { return carried_; }
  /// Bytes taken in so far.
  [[nodiscard]] std::uint64_t received() const { return received_; }

 private:
  static constexpr std::size_t kMostQueued = std::size_t{64} << 20U;
  /// Shorter parts are copied, so that many of them do not hold a whole buffer each.
  static constexpr std::size_t kWorthABuffer = std::size_t{32} << 10U;
  static constexpr std::size_t kBufferSize = std::size_t{256} << 10U;
  struct Chunk {
    Time due;
    std::vector<std::byte> bytes;
    std::size_t length = 0;  // of the bytes that count
    std::size_t sent = 0;
  };
  void take(std::size_t length, Time due, bool shuffled);
  void enqueue(Time due, std::vector<std::byte> bytes, std::size_t length);
  void enqueueAll(Time due, std::vector<std::byte> bytes);
  void enqueueShuffled(Time due);
  std::vector<std::byte> takeBuffer();

  const int from_;
  const int to_;
  const bool carriesReplies_;
  std::mt19937_64 random_;
  std::vector<std::byte> input_ = std::vector<std::byte>(kBufferSize);
  // Fresh memory for each would cost more than all the rest: the kernel clears it.
  std::vector<std::vector<std::byte>> spareBuffers_;
  std::vector<std::byte> unparsed_;  // the beginning of a reply, while replies are reordered
  std::deque<Chunk> queue_;
  std::size_t queued_ = 0;  // bytes
  std::uint64_t carried_ = 0;
  std::uint64_t received_ = 0;
  Time mayGoOn_{};  // as the rate allows
  bool ended_ = false;
  bool full_ = false;
};

}  // namespace netcow::test
