// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/mutex.h"

// What the threads of the stress test write: every 8 bytes tell the sector, the writer and the
// number of the write, so that anything from another place, another writer or another time shows.
namespace netcow::test {

inline constexpr std::uint64_t kSectorSize = 512;
inline constexpr std::uint64_t kWordSize = 8;

/// One word of a sector. Writer 0 is the base.
struct SectorTag {
  std::uint64_t sector = 0;  ///< offset in the image / 512, below 2^24
  std::uint32_t writer = 0;  ///< below 256
  std::uint32_t number = 0;  ///< of the write, among those of its writer

  [[nodiscard]] std::uint64_t word() const {
    return (sector + 1) << 40U | std::uint64_t{writer} << 32U | number;
  }
  static SectorTag of(std::uint64_t word) {
    return {(word >> 40U) - 1, static_cast<std::uint32_t>(word >> 32U & 0xFFU),
            static_cast<std::uint32_t>(word)};
  }
};

/// Fills a buffer, which lies at `offset` of the image, with tags. Both in whole words.
inline void fillWithTags(std::span<std::byte> buffer, std::uint64_t offset, std::uint32_t writer,
                         std::uint32_t number) {
  for (std::uint64_t at = 0; at < buffer.size(); at += kWordSize) {
    const std::uint64_t word = SectorTag{(offset + at) / kSectorSize, writer, number}.word();
    std::memcpy(buffer.data() + at, &word, kWordSize);
  }
}

/// The base as bytes, at any offset.
inline std::byte baseByte(std::uint64_t offset) {
  const std::uint64_t word = SectorTag{offset / kSectorSize, 0, 0}.word();
  return static_cast<std::byte>(word >> (offset % kWordSize * 8) & 0xFFU);
}

inline void fillFromBase(std::span<std::byte> buffer, std::uint64_t offset) {
  for (std::uint64_t i = 0; i < buffer.size(); ++i) {
    buffer[i] = baseByte(offset + i);
  }
}

inline std::uint64_t wordAt(std::span<const std::byte> bytes, std::uint64_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, kWordSize);
  return word;
}

inline std::string describeWord(std::uint64_t word) {
  const SectorTag tag = SectorTag::of(word);
  return word == 0 ? "zeros"
                   : "write " + std::to_string(tag.number) + " of writer " +
                         std::to_string(tag.writer) + " to sector " + std::to_string(tag.sector);
}

/// What threads found to be wrong. Thread-safe.
class Findings {
 public:
  void add(const std::string& line) {
    const MutexLock lock(mutex_);
    if (lines_.size() < 10) {
      lines_.push_back(line);
    }
    any_ = true;
  }
  [[nodiscard]] bool any() const { return any_.load(); }
  [[nodiscard]] std::string text() {
    const MutexLock lock(mutex_);
    std::string text;
    for (const std::string& line : lines_) {
      text += line + "\n";
    }
    return text;
  }

 private:
  Mutex mutex_;
  std::vector<std::string> lines_ NETCOW_GUARDED_BY(mutex_);
  std::atomic<bool> any_ = false;
};

}  // namespace netcow::test
