// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "source/prefetch/buffer_pool.h"
#include "source/prefetch/link_estimate.h"
#include "source/prefetch/neighbour_credit.h"
#include "source/prefetch/prefetch_cache.h"
#include "source/prefetch/read_patterns.h"

namespace netcow {

/// Decides what to ask for ahead, and knows what of it is here. Bookkeeping only: no lock (its
/// owner has one), no source.
///
/// Each stream of ReadPatterns has a window: so much is asked for ahead of it. It starts small,
/// doubles while the reader has to wait, and is halved when what was asked for ahead is dropped
/// unread. All streams together have no more under way than LinkEstimate allows, and none more
/// than its share of the memory.
class Prefetcher {
 public:
  using Part = PrefetchCache::Part;

  /// `pool` and `clock` must outlive it.
  Prefetcher(std::uint64_t imageSize, BufferPool& pool, const Clock& clock)
      : imageSize_(imageSize), pool_(pool), clock_(clock), patterns_(imageSize) {}

  /// Notes a read inside the image. Returns its parts if some of it is here or under way, else
  /// nothing. Adds to `ask` what should be asked for now; each of these must end, in ended().
  /// `roundTrip`: as the source tells it. What is learned here of the delay is too much as long as
  /// readers themselves keep the connection busy, which is not seen here.
  std::vector<Part> read(std::span<std::byte> buffer, std::uint64_t offset,
                         std::optional<Clock::Time::duration> roundTrip,
                         std::vector<ExtentPointer>& ask);

  /// Notes that reads around a range inside the image are likely.
  void willNeedNear(ByteRange range, std::vector<ExtentPointer>& ask);

  /// What was to be asked for has arrived, or failed and is forgotten.
  void ended(const ExtentPointer& extent, bool failed);

  /// Called now and then: forgets what nobody read since the call before the last one.
  std::vector<ExtentPointer> dropUnused();

  /// For people.
  struct Numbers {
    std::size_t streams = 0;        ///< that were read not long ago
    std::uint64_t window = 0;       ///< of those the largest, bytes
    std::uint64_t bytesAsked = 0;   ///< ahead
    std::uint64_t bytesReady = 0;   ///< read out of memory
    std::uint64_t bytesJoined = 0;  ///< read that were under way by then
    std::uint64_t bytesUnread = 0;  ///< dropped before anybody read them
  };
  [[nodiscard]] Numbers numbers() const;

 private:
  [[nodiscard]] std::uint64_t largestWindow() const;
  [[nodiscard]] bool isWorthIt(std::uint64_t length,
                               std::optional<Clock::Time::duration> roundTrip) const;
  void readAhead(ReadStream& stream, std::vector<ExtentPointer>& ask);
  void probeDelay(ReadStream& stream, std::vector<ExtentPointer>& ask);
  void readAheadWithoutGaps(ReadStream& stream, std::vector<ExtentPointer>& ask);
  void readAheadRecords(ReadStream& stream, std::vector<ExtentPointer>& ask);
  bool askFor(const ReadStream& stream, std::uint64_t begin, std::uint64_t end,
              std::vector<ExtentPointer>& ask);
  void askForNeighbours(ByteRange range, NeighbourCredit& credit, std::vector<ExtentPointer>& ask);
  bool askFor(ByteRange range, std::uint64_t stream, NeighbourCredit* credit,
              std::vector<ExtentPointer>& ask);
  BufferPool::Buffer takeMemory(std::uint64_t size);
  void noteDropped(const Extent& extent);

  const std::uint64_t imageSize_;
  BufferPool& pool_;
  const Clock& clock_;
  ReadPatterns patterns_;
  PrefetchCache cache_;
  LinkEstimate link_;
  // A write over the border of two blocks is two for the kernel. Fetching the next block pays for
  // those also when writes are at random, and nothing else is worth it.
  NeighbourCredit nextBlock_;
  NeighbourCredit around_;
  Numbers numbers_;
};

}  // namespace netcow
