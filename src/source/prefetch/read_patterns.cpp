// SPDX-License-Identifier: Apache-2.0
#include "source/prefetch/read_patterns.h"

#include <algorithm>

namespace netcow {
namespace {

/// What a new stream may be read ahead at once.
constexpr std::uint64_t kLargestFirstWindow = std::uint64_t{1} << 20U;

}  // namespace

ReadStream* ReadPatterns::note(std::uint64_t offset, std::uint64_t length) {
  ++reads_;
  if (ReadStream* const stream = followStream(offset, length)) {
    return stream;
  }
  if (Trail* const trail = followTrail(offset, length)) {
    if (trail->reads < kReadsOfAStream || trail->direction == 0) {
      return nullptr;
    }
    ReadStream stream;
    stream.backward = trail->direction < 0;
    stream.consumed = trail->end - trail->begin;
    stream.next = position(stream.backward, trail->begin, stream.consumed) + stream.consumed;
    stream.window = std::clamp(stream.consumed, ReadStream::kSmallestWindow, kLargestFirstWindow);
    *trail = {};
    return add(stream);
  }
  if (ReadStream* const stream = findStride(offset, length)) {
    return stream;
  }
  begins_.at(nextBegin_++ % kBegins) = {offset, length};
  trails_.at(nextTrail_++ % kTrails) = {offset, offset + length, 1, 0};
  return nullptr;
}

ReadStream* ReadPatterns::followStream(std::uint64_t offset, std::uint64_t length) {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    ReadStream& stream = streams_[i];
    if (!stream.take(position(stream.backward, offset, length), length)) {
      continue;
    }
    if (stream.confidence <= 0) {
      streams_.erase(streams_.begin() + static_cast<std::ptrdiff_t>(i));
      return nullptr;
    }
    stream.lastUse = reads_;
    return &stream;
  }
  return nullptr;
}

ReadPatterns::Trail* ReadPatterns::followTrail(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t end = offset + length;
  for (Trail& trail : trails_) {
    if (trail.reads == 0) {
      continue;
    }
    if (trail.begin <= offset && end <= trail.end) {
      return &trail;  // it was read before, which tells nothing
    }
    if (trail.end == offset && trail.direction >= 0) {
      trail.end = end;
      trail.direction = 1;
    } else if (trail.begin == end && trail.direction <= 0) {
      trail.begin = offset;
      trail.direction = -1;
    } else {
      continue;
    }
    ++trail.reads;
    joinTrails(trail);
    return &trail;
  }
  return nullptr;
}

void ReadPatterns::joinTrails(Trail& trail) {
  for (Trail& other : trails_) {
    const bool behind = trail.direction > 0 && other.begin == trail.end && other.direction >= 0;
    const bool before = trail.direction < 0 && other.end == trail.begin && other.direction <= 0;
    if (&other == &trail || other.reads == 0 || (!behind && !before)) {
      continue;
    }
    trail.begin = std::min(trail.begin, other.begin);
    trail.end = std::max(trail.end, other.end);
    trail.reads += other.reads;
    other = {};
    return;
  }
}

/// Whether this read and three of the last ones lie one distance apart.
ReadStream* ReadPatterns::findStride(std::uint64_t offset, std::uint64_t length) {
  // The reader's last read was among the last few: not many readers are mixed.
  for (std::size_t i = 1; i <= kMixedReaders; ++i) {
    const Begin& one = begins_.at((nextBegin_ - i) % kBegins);
    const std::uint64_t distance = offset - one.offset;  // of two's complement: backward ones too
    if (one.length != length || distance == 0 || !began(one.offset - distance, length) ||
        !began(one.offset - 2 * distance, length)) {
      continue;
    }
    ReadStream stream;
    stream.backward = one.offset > offset;
    stream.stride = stream.backward ? one.offset - offset : distance;
    stream.record = length;
    stream.next = position(stream.backward, offset, length) + stream.stride;
    stream.window = 4 * length;
    stream.consumed = 4 * length;
    return add(stream);
  }
  return nullptr;
}

bool ReadPatterns::began(std::uint64_t offset, std::uint64_t length) const {
  return std::any_of(begins_.begin(), begins_.end(), [&](const Begin& one) {
    return one.offset == offset && one.length == length;
  });
}

ReadStream* ReadPatterns::add(ReadStream stream) {
  stream.id = ++lastId_;
  stream.lastUse = reads_;
  stream.frontier = stream.next;
  if (streams_.size() < kMostStreams) {
    return &streams_.emplace_back(stream);
  }
  const auto oldest =
      std::min_element(streams_.begin(), streams_.end(),
                       [](const auto& a, const auto& b) { return a.lastUse < b.lastUse; });
  *oldest = stream;
  return &*oldest;
}

ReadStream* ReadPatterns::find(std::uint64_t id) {
  const auto found = std::find_if(streams_.begin(), streams_.end(),
                                  [id](const ReadStream& stream) { return stream.id == id; });
  return found == streams_.end() ? nullptr : &*found;
}

std::size_t ReadPatterns::activeStreams() const {
  return static_cast<std::size_t>(std::count_if(
      streams_.begin(), streams_.end(),
      [this](const ReadStream& stream) { return reads_ - stream.lastUse < kActiveReads; }));
}

std::uint64_t ReadPatterns::largestWindow() const {
  std::uint64_t largest = 0;
  for (const ReadStream& stream : streams_) {
    largest = reads_ - stream.lastUse < kActiveReads ? std::max(largest, stream.window) : largest;
  }
  return largest;
}

}  // namespace netcow
