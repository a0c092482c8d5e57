// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "source/prefetch/read_stream.h"

namespace netcow {

/// Tells readers that go through the image in order from those that jump about, by the reads as
/// they come: several of either kind may be mixed.
///
/// A read that fits no known stream becomes a *trail*: a range that was read without gaps. Reads
/// that touch an end of it make it longer, and two that meet are one, so the order of reads that
/// the kernel sends together does not matter. A trail of three reads is a stream. So are four
/// reads of one length, one distance apart, among the last few. Reads at random do neither but by
/// rare chance: there are few trails, and the oldest makes room.
///
/// Not thread-safe. A read costs some hundred comparisons, and no memory.
class ReadPatterns {
 public:
  explicit ReadPatterns(std::uint64_t imageSize) : imageSize_(imageSize) {}

  /// Notes a read. Returns the stream it belongs to, null if it belongs to none; valid until the
  /// next call.
  ReadStream* note(std::uint64_t offset, std::uint64_t length);

  /// Null when it is over.
  ReadStream* find(std::uint64_t id);

  /// Those that had a read not long ago.
  [[nodiscard]] std::size_t activeStreams() const;
  /// The largest window of those, in bytes.
  [[nodiscard]] std::uint64_t largestWindow() const;

 private:
  struct Trail {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint32_t reads = 0;  // 0: not in use
    int direction = 0;        // 1, -1; 0 while it is one read
  };
  struct Begin {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  // 0: not in use
  };
  static constexpr std::size_t kMostStreams = 16;
  static constexpr std::size_t kTrails = 32;
  static constexpr std::size_t kMixedReaders = 4;
  static constexpr std::size_t kBegins = 4 * kMixedReaders;  // a power of two: the index wraps
  static constexpr std::uint32_t kReadsOfAStream = 3;
  static constexpr std::uint64_t kActiveReads = 512;

  [[nodiscard]] std::uint64_t position(bool backward, std::uint64_t offset,
                                       std::uint64_t length) const {
    return backward ? imageSize_ - offset - length : offset;
  }
  ReadStream* followStream(std::uint64_t offset, std::uint64_t length);
  Trail* followTrail(std::uint64_t offset, std::uint64_t length);
  void joinTrails(Trail& trail);
  ReadStream* findStride(std::uint64_t offset, std::uint64_t length);
  [[nodiscard]] bool began(std::uint64_t offset, std::uint64_t length) const;
  ReadStream* add(ReadStream stream);

  const std::uint64_t imageSize_;
  std::vector<ReadStream> streams_;
  std::array<Trail, kTrails> trails_{};
  std::size_t nextTrail_ = 0;
  std::array<Begin, kBegins> begins_{};
  std::size_t nextBegin_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t lastId_ = 0;
};

}  // namespace netcow
