// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "image/tagged_sectors.h"

// The parts of the image on which the threads of the stress test meet.
namespace netcow::test {

/// Sectors that each have one writer, dealt out in turns of `unit` sectors, so that the units of
/// several writers lie in one block. Anybody may read. Since a sector's writer never has two
/// writes to it under way, a reader knows which contents are allowed. Thread-safe.
class OwnedWindow {
 public:
  /// `begin` in bytes, in whole sectors.
  OwnedWindow(std::uint64_t begin, std::uint64_t units, std::uint64_t unit, std::uint32_t writers)
      : begin_(begin), units_(units), unit_(unit), writers_(writers), sectors_(units * unit) {}

  [[nodiscard]] std::uint64_t begin() const { return begin_; }
  [[nodiscard]] std::uint64_t units() const { return units_; }
  [[nodiscard]] std::uint64_t unit() const { return unit_; }  ///< sectors
  [[nodiscard]] std::uint64_t sectors() const { return sectors_.size(); }
  /// Numbers of writers begin with 1.
  [[nodiscard]] std::uint32_t writerOf(std::uint64_t unit) const {
    return static_cast<std::uint32_t>(unit % writers_) + 1;
  }
  [[nodiscard]] std::uint64_t offsetOf(std::uint64_t sector) const {
    return begin_ + sector * kSectorSize;
  }

  /// A write, or a zeroing, of [first, first + count) begins.
  void begin(std::uint64_t first, std::uint64_t count, std::uint32_t number, bool zeros) {
    for (std::uint64_t i = first; i < first + count; ++i) {
      sectors_[i].begun = number;
      if (zeros) {
        sectors_[i].zeroed = number;
      }
    }
  }
  void acknowledge(std::uint64_t first, std::uint64_t count, std::uint32_t number) {
    for (std::uint64_t i = first; i < first + count; ++i) {
      sectors_[i].acknowledged = number;
    }
  }
  [[nodiscard]] std::uint32_t acknowledged(std::uint64_t sector) const {
    return sectors_[sector].acknowledged;
  }

  /// Whether a word of a sector may be what a read found that began when `acknowledgedBefore` was
  /// the newest acknowledged write.
  [[nodiscard]] bool mayBe(std::uint64_t word, std::uint64_t sector,
                           std::uint32_t acknowledgedBefore) const {
    if (word == 0) {
      const std::uint32_t zeroed = sectors_[sector].zeroed;
      return zeroed != 0 && zeroed >= acknowledgedBefore;
    }
    const SectorTag tag = SectorTag::of(word);
    if (tag.sector != offsetOf(sector) / kSectorSize) {
      return false;
    }
    if (tag.writer == 0) {
      return acknowledgedBefore == 0;
    }
    return tag.writer == writerOf(sector / unit_) && tag.number >= acknowledgedBefore &&
           tag.number <= sectors_[sector].begun;
  }

 private:
  struct Sector {
    std::atomic<std::uint32_t> begun = 0;
    std::atomic<std::uint32_t> zeroed = 0;  ///< the newest zeroing that has begun
    std::atomic<std::uint32_t> acknowledged = 0;
  };
  const std::uint64_t begin_;
  const std::uint64_t units_;
  const std::uint64_t unit_;
  const std::uint32_t writers_;
  std::vector<Sector> sectors_;
};

/// Sectors that anybody writes at any time. In the end each holds one whole write, and one that no
/// other write followed: it began after that one had ended. Thread-safe.
class ContestedWindow {
 public:
  ContestedWindow(std::uint64_t begin, std::uint64_t sectors) : begin_(begin), sectors_(sectors) {}

  [[nodiscard]] std::uint64_t sectors() const { return sectors_; }
  [[nodiscard]] std::uint64_t offsetOf(std::uint64_t sector) const {
    return begin_ + sector * kSectorSize;
  }
  /// A moment: later than every one that was asked for before.
  std::uint64_t now() { return ++clock_; }

  struct Write {
    std::uint64_t first;
    std::uint64_t count;
    std::uint32_t writer;
    std::uint32_t number;
    std::uint64_t begun;
    std::uint64_t ended;
  };
  void ended(const Write& write) {
    const MutexLock lock(mutex_);
    writes_.push_back(write);
  }

  /// What is wrong with a sector once all writes have ended; empty if nothing is.
  [[nodiscard]] std::string judge(std::uint64_t sector, std::span<const std::byte> content) {
    const MutexLock lock(mutex_);
    const std::uint64_t word = wordAt(content, 0);
    for (std::uint64_t at = 0; at < kSectorSize; at += kWordSize) {
      if (wordAt(content, at) != word) {
        return "torn between " + describeWord(word) + " and " + describeWord(wordAt(content, at));
      }
    }
    const SectorTag tag = SectorTag::of(word);
    if (tag.sector != offsetOf(sector) / kSectorSize) {
      return "holds " + describeWord(word);
    }
    std::uint64_t endOfIts = 0;
    bool found = tag.writer == 0;
    for (const Write& write : writes_) {
      if (write.writer == tag.writer && write.number == tag.number && covers(write, sector)) {
        endOfIts = write.ended;
        found = true;
      }
    }
    if (!found) {
      return "holds " + describeWord(word) + ", which never was";
    }
    for (const Write& write : writes_) {
      if (covers(write, sector) && write.begun > endOfIts) {
        return "lost write " + std::to_string(write.number) + " of writer " +
               std::to_string(write.writer) + " to " + describeWord(word);
      }
    }
    return {};
  }

 private:
  static bool covers(const Write& write, std::uint64_t sector) {
    return sector >= write.first && sector < write.first + write.count;
  }

  const std::uint64_t begin_;
  const std::uint64_t sectors_;
  std::atomic<std::uint64_t> clock_ = 0;
  Mutex mutex_;
  std::vector<Write> writes_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow::test
