// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <vector>

#include "source/prefetch/extent.h"

namespace netcow {

/// A range of the image.
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// What was asked for ahead and is not read yet: extents that never overlap. One that was read to
/// the last byte is forgotten at once, since the kernel keeps what it reads.
///
/// Bookkeeping only: no lock (its owner has one), no memory of its own for content.
class PrefetchCache {
 public:
  /// A part of a read: `extent` has it, or nothing has.
  struct Part {
    std::span<std::byte> buffer;
    std::uint64_t offset = 0;
    ExtentPointer extent;
  };

  /// Whether anything of a range is here.
  [[nodiscard]] bool hasSomeOf(std::uint64_t offset, std::uint64_t size) const;
  /// Takes a read apart, in order, and counts what it finds as read.
  std::vector<Part> split(std::span<std::byte> buffer, std::uint64_t offset);
  /// The parts of a range that are not here.
  [[nodiscard]] std::vector<ByteRange> missing(ByteRange range) const;

  /// Adds one that is under way, in a place where nothing is.
  void add(const ExtentPointer& extent);
  /// It has arrived.
  void keep(const ExtentPointer& extent);
  /// Forgets one under way: what was asked for failed.
  void forget(const Extent& extent);

  /// Forgets the one that nobody read for the longest time; null when none has arrived.
  ExtentPointer dropOldest();
  /// Forgets those that nobody read since the call before the last one.
  std::vector<ExtentPointer> dropUnused();

 private:
  void used(Extent& extent, std::uint64_t bytes);

  std::map<std::uint64_t, ExtentPointer> extents_;  // by where they end
  std::list<ExtentPointer> arrived_;                // the one used last is at the back
  std::uint64_t sweeps_ = 0;
};

}  // namespace netcow
