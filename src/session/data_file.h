// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <system_error>

#include "base/mutex.h"
#include "session/file_system.h"
#include "session/local_limit.h"

namespace netcow {

/// `data`: the clusters' content, and the hand-out of space for new ones. Thread-safe.
class DataFile {
 public:
  /// `nextOffset`: where the next cluster goes. `file` must outlive it.
  DataFile(File& file, std::uint64_t fileBytes, std::int64_t nextOffset)
      : file_(file), limit_(file), fileBytes_(fileBytes), nextOffset_(nextOffset) {}

  /// Hands out space for one cluster and makes the file reach to its end, so that no bit is ever
  /// set over a hole behind the end.
  std::error_code allocate(std::int64_t& offset);
  [[nodiscard]] std::int64_t nextOffset() const;

  std::error_code read(std::span<std::byte> buffer, std::uint64_t offset) const {
    return file_.read(buffer, offset);
  }
  /// ENOSPC also where new space would pass the limit.
  std::error_code write(std::span<const std::byte> bytes, std::uint64_t offset);
  /// Makes a range zero; whole blocks of it give their space back.
  std::error_code zero(std::uint64_t offset, std::uint64_t length);
  /// The same for whole blocks alone.
  std::error_code punch(std::uint64_t offset, std::uint64_t length);
  /// ENOSPC if so much new space surely does not fit, on the disk or below the limit.
  [[nodiscard]] std::error_code checkRoom(std::uint64_t newBytes) const;
  /// Gives a range space on the disk; see File::reserve(). ENOSPC also at the limit.
  std::error_code reserve(std::uint64_t offset, std::uint64_t length);

  /// A run of blocks that are all holes or all not.
  struct Extent {
    bool data = false;
    std::uint64_t length = 0;  ///< bytes
  };
  /// The one that begins at `offset`, cut to `length`. Both are those of whole blocks.
  std::error_code extentAt(std::uint64_t offset, std::uint64_t length, Extent& extent) const;
  /// How much of a range has space on the disk; see File::spaceIn().
  std::error_code spaceIn(std::uint64_t offset, std::uint64_t length, std::uint64_t& bytes) const {
    return file_.spaceIn(offset, length, bytes);
  }
  /// See LocalLimit.
  void limitTo(std::uint64_t bytes) { limit_.set(bytes); }
  [[nodiscard]] std::uint64_t roomBelowLimit(std::uint64_t allocated) const {
    return limit_.roomBelow(allocated);
  }

  /// Whether anything was written since the last sync began.
  [[nodiscard]] bool unsynced() const { return unsynced_.load(); }
  std::error_code sync();

 private:
  File& file_;
  LocalLimit limit_;
  mutable Mutex mutex_;
  std::uint64_t fileBytes_ NETCOW_GUARDED_BY(mutex_);
  std::int64_t nextOffset_ NETCOW_GUARDED_BY(mutex_);
  std::atomic<bool> unsynced_ = false;
};

}  // namespace netcow
