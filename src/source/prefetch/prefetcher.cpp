// SPDX-License-Identifier: Apache-2.0
#include "source/prefetch/prefetcher.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "format/geometry.h"

namespace netcow {
namespace {

/// What is asked for at once: as much as one request of the protocol may bring.
constexpr std::uint64_t kLargestExtent = BufferPool::kLargest;

/// What is fetched around a block.
constexpr std::uint64_t kNeighbourhood = 16 * kBlockSize;

}  // namespace

std::vector<Prefetcher::Part> Prefetcher::read(std::span<std::byte> buffer, std::uint64_t offset,
                                               std::optional<Clock::Time::duration> roundTrip,
                                               std::vector<ExtentPointer>& ask) {
  std::vector<Part> parts;
  bool waits = true;
  if (cache_.hasSomeOf(offset, buffer.size())) {
    parts = cache_.split(buffer, offset);
    waits = false;
    for (const Part& part : parts) {
      const std::uint64_t size = part.buffer.size();
      waits = waits || part.extent == nullptr || !part.extent->hasArrived;
      if (part.extent == nullptr) {
        continue;
      }
      (part.extent->hasArrived ? numbers_.bytesReady : numbers_.bytesJoined) += size;
      if (part.extent->credit != nullptr && part.extent->bytesRead == size) {
        part.extent->credit->earned();
      }
    }
  }
  if (ReadStream* const stream = patterns_.note(offset, buffer.size())) {
    if (waits) {
      stream->grow(largestWindow());
    }
    stream->frontier = std::max(stream->frontier, stream->next);
    probeDelay(*stream, ask);
    if (isWorthIt(buffer.size(), roundTrip)) {
      readAhead(*stream, ask);
    }
  }
  return parts;
}

void Prefetcher::willNeedNear(ByteRange range, std::vector<ExtentPointer>& ask) {
  const std::uint64_t end = range.offset + range.size;
  const std::uint64_t begin = range.offset / kNeighbourhood * kNeighbourhood;
  askForNeighbours({end, std::min(kBlockSize, imageSize_ - end)}, nextBlock_, ask);
  askForNeighbours({begin, std::min(kNeighbourhood, imageSize_ - begin)}, around_, ask);
}

void Prefetcher::askForNeighbours(ByteRange range, NeighbourCredit& credit,
                                  std::vector<ExtentPointer>& ask) {
  if (!credit.wants()) {
    credit.declined();
    return;
  }
  const std::size_t before = ask.size();
  askFor(range, 0, &credit, ask);
  if (ask.size() > before) {
    credit.spent();
  }
}

/// No stream fills more than its share of the memory, and the half stays for what it reads.
std::uint64_t Prefetcher::largestWindow() const {
  const std::uint64_t share =
      pool_.limit() / 2 / std::max<std::size_t>(patterns_.activeStreams(), 1);
  return std::max(std::min(link_.limit(), share), ReadStream::kSmallestWindow);
}

void Prefetcher::readAhead(ReadStream& stream, std::vector<ExtentPointer>& ask) {
  if (stream.stride == 0) {
    readAheadWithoutGaps(stream, ask);
  } else {
    readAheadRecords(stream, ask);
  }
}

/// Large reads over a short way are as fast by themselves, and go straight into the reader's own
/// memory; what is read ahead is copied once more.
bool Prefetcher::isWorthIt(std::uint64_t length,
                           std::optional<Clock::Time::duration> roundTrip) const {
  constexpr double kFastestRate = 2e9;  // bytes per second
  double delay = link_.delay();
  if (roundTrip) {
    const double told = std::chrono::duration<double>(*roundTrip).count();
    delay = delay > 0 ? std::min(delay, told) : told;
  }
  return delay == 0 || static_cast<double>(length) <= kFastestRate * delay;
}

/// Asks for a little of what comes next by itself: only a small answer shows the delay.
void Prefetcher::probeDelay(ReadStream& stream, std::vector<ExtentPointer>& ask) {
  const std::uint64_t end = std::min(stream.frontier + kBlockSize, imageSize_);
  if (stream.consumed < stream.probeAt || stream.frontier >= end || !link_.isQuiet()) {
    return;
  }
  if (askFor(stream, stream.frontier, end, ask)) {
    stream.frontier = stream.stride == 0 ? end : stream.frontier;
    stream.probeAt = stream.consumed + ReadStream::kBytesBetweenProbes;
  }
}

void Prefetcher::readAheadWithoutGaps(ReadStream& stream, std::vector<ExtentPointer>& ask) {
  const std::uint64_t window = std::min(stream.window, largestWindow());
  const std::uint64_t until = std::min(stream.next + window, imageSize_);
  // A reader of small pieces makes room for as small ones; they are asked for when they have added
  // up to something.
  const std::uint64_t worthIt = std::min(window / 4, kLargestExtent);
  while (stream.frontier < until) {
    const std::uint64_t border = (stream.frontier / kLargestExtent + 1) * kLargestExtent;
    const std::uint64_t end = std::min(border, until);
    if (end == until && end != imageSize_ && end - stream.frontier < worthIt) {
      return;
    }
    if (!askFor(stream, stream.frontier, end, ask)) {
      return;
    }
    stream.frontier = end;
  }
}

void Prefetcher::readAheadRecords(ReadStream& stream, std::vector<ExtentPointer>& ask) {
  const std::uint64_t window = std::min(stream.window, largestWindow());
  const std::uint64_t count =
      std::clamp<std::uint64_t>(window / stream.record, 1, LinkEstimate::kMostRequests);
  while (stream.frontier < stream.next + count * stream.stride &&
         stream.frontier + stream.record <= imageSize_) {
    const std::uint64_t end =
        std::min(roundUp(stream.frontier + stream.record, kBlockSize), imageSize_);
    if (!askFor(stream, stream.frontier / kBlockSize * kBlockSize, end, ask)) {
      return;
    }
    stream.frontier += stream.stride;
  }
}

/// From `begin` to `end` in the direction of the stream. False if not all may be asked for now.
bool Prefetcher::askFor(const ReadStream& stream, std::uint64_t begin, std::uint64_t end,
                        std::vector<ExtentPointer>& ask) {
  const std::uint64_t offset = stream.backward ? imageSize_ - end : begin;
  return askFor(ByteRange{offset, end - begin}, stream.id, nullptr, ask);
}

bool Prefetcher::askFor(ByteRange range, std::uint64_t stream, NeighbourCredit* credit,
                        std::vector<ExtentPointer>& ask) {
  for (const ByteRange& missing : cache_.missing(range)) {
    for (std::uint64_t at = 0; at < missing.size;) {
      const std::uint64_t size = std::min(missing.size - at, kLargestExtent);
      BufferPool::Buffer memory;
      if (link_.allows(size)) {
        memory = takeMemory(size);
      }
      if (memory == nullptr) {
        return false;
      }
      auto extent = std::make_shared<Extent>();
      extent->offset = missing.offset + at;
      extent->size = size;
      extent->memory = std::move(memory);
      extent->stream = stream;
      extent->credit = credit;
      extent->sending = link_.send(size, clock_.now());
      cache_.add(extent);
      ask.push_back(std::move(extent));
      numbers_.bytesAsked += size;
      at += size;
    }
  }
  return true;
}

BufferPool::Buffer Prefetcher::takeMemory(std::uint64_t size) {
  BufferPool::Buffer memory = pool_.take(size);
  // What is dropped may still be copied from and free its memory later, so what counts is how much
  // was dropped.
  for (std::uint64_t dropped = 0; memory == nullptr && dropped < size;) {
    ExtentPointer oldest = cache_.dropOldest();
    if (oldest == nullptr) {
      break;
    }
    dropped += oldest->size;
    noteDropped(*oldest);
    oldest.reset();
    memory = pool_.take(size);
  }
  return memory;
}

void Prefetcher::noteDropped(const Extent& extent) {
  numbers_.bytesUnread += extent.size - std::min(extent.size, extent.bytesRead);
  if (extent.bytesRead == 0) {
    if (ReadStream* const stream = patterns_.find(extent.stream)) {
      stream->shrink();
    }
  }
}

void Prefetcher::ended(const ExtentPointer& extent, bool failed) {
  if (failed) {
    link_.lost(extent->sending, clock_.now());
    cache_.forget(*extent);
  } else {
    link_.arrived(extent->sending, clock_.now());
    cache_.keep(extent);
  }
}

std::vector<ExtentPointer> Prefetcher::dropUnused() {
  std::vector<ExtentPointer> dropped = cache_.dropUnused();
  for (const ExtentPointer& extent : dropped) {
    noteDropped(*extent);
  }
  return dropped;
}

Prefetcher::Numbers Prefetcher::numbers() const {
  Numbers numbers = numbers_;
  numbers.streams = patterns_.activeStreams();
  numbers.window = patterns_.largestWindow();
  return numbers;
}

}  // namespace netcow
