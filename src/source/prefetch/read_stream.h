// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace netcow {

/// One reader that goes through the image step by step: without gaps, or in records that lie the
/// same distance apart. And how far it is read ahead for.
///
/// Positions are bytes in the direction of the reader: for one that goes backward, position p is
/// the byte before offset imageSize - p. So everything below only ever goes up.
struct ReadStream {
  static constexpr std::uint64_t kSmallestWindow = std::uint64_t{128} << 10U;

  static constexpr std::uint64_t kBytesBetweenProbes = std::uint64_t{4} << 20U;

  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

  std::uint64_t id = 0;
  bool backward = false;
  std::uint64_t stride = 0;    ///< from one record to the next; 0: no gaps, reads of any length
  std::uint64_t record = 0;    ///< bytes of each, if there is a stride
  std::uint64_t next = 0;      ///< where it is expected to read
  std::uint64_t frontier = 0;  ///< up to where was asked ahead
  std::uint64_t window = 0;    ///< bytes that may be asked for ahead of the reader
  std::uint64_t consumed = 0;  ///< bytes it has read
  std::uint64_t growAt = 0;    ///< what it must have consumed for the window to grow again
  std::uint64_t probeAt = 0;   ///< what it must have consumed for the delay to be measured again
  int confidence = 4;          ///< falls when it leaves out much; at 0 the stream is over
  std::uint64_t lastUse = 0;   ///< as ReadPatterns counts
  std::array<Range, 8> leftOut{};  ///< the last ranges before `next` that it did not read
  std::size_t nextLeftOut = 0;

  /// Notes a read at `position` if it is this reader's.
  bool take(std::uint64_t position, std::uint64_t length) {
    return stride == 0 ? takeWithoutGaps(position, length) : takeRecord(position, length);
  }

  /// It had to wait for bytes: with a larger window it may not have to. One growth for each window
  /// that was read, so that several reads that wait for the same cause count once.
  void grow(std::uint64_t largest) {
    if (consumed >= growAt && window < largest) {
      window = std::min(2 * window, largest);
      growAt = consumed + window / 2;
    }
  }
  /// What was asked for ahead has not been read.
  void shrink() { window = std::max(window / 2, kSmallestWindow); }

 private:
  /// How far ahead it may go on: parts of the image that are local are never asked for here, and
  /// reads that the kernel sends together arrive in any order.
  static constexpr std::uint64_t kLongestGap = std::uint64_t{256} << 10U;
  static constexpr std::uint64_t kMostReadsLeftOut = 8;
  static constexpr std::uint64_t kMostRecordsLeftOut = 3;
  static constexpr int kMostConfidence = 16;

  bool takeWithoutGaps(std::uint64_t position, std::uint64_t length) {
    if (position < next) {
      return takeLeftOut(position, length);
    }
    const std::uint64_t longestGap = std::max(kLongestGap, kMostReadsLeftOut * length);
    if (position > std::max(frontier, next + longestGap)) {
      return false;
    }
    if (position == next) {
      gainConfidence();
    } else {
      confidence -= position - next > length ? 1 : 0;
      noteLeftOut({next, position});
    }
    next = position + length;
    consumed += length;
    return true;
  }

  /// Only what was never read: other readers may follow close behind.
  bool takeLeftOut(std::uint64_t position, std::uint64_t length) {
    const std::uint64_t end = position + length;
    for (Range& range : leftOut) {
      if (range.begin <= position && end <= range.end) {
        const Range rest{end, range.end};
        range.end = position;
        if (rest.begin < rest.end) {
          noteLeftOut(rest);
        }
        consumed += length;
        gainConfidence();
        return true;
      }
    }
    return false;
  }

  void noteLeftOut(Range range) { leftOut.at(nextLeftOut++ % leftOut.size()) = range; }
  void gainConfidence() { confidence = std::min(confidence + 1, kMostConfidence); }

  bool takeRecord(std::uint64_t position, std::uint64_t length) {
    if (position < next || length != record || (position - next) % stride != 0) {
      return false;
    }
    const std::uint64_t records = (position - next) / stride;
    if (records > kMostRecordsLeftOut) {
      return false;
    }
    if (records == 0) {
      gainConfidence();
    } else {
      --confidence;
    }
    next = position + stride;
    consumed += length;
    return true;
  }
};

}  // namespace netcow
