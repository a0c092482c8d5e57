// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <system_error>

#include "base/mutex.h"
#include "session/file_system.h"

namespace netcow {

/// The most that `data` may take on the disk.
///
/// Writers ask before they write. Without a limit that is one load. With one, what was asked for
/// is summed up as if all of it needed new space; the file system is asked for the truth only when
/// the sum reaches the limit. So far from the limit a write costs one addition, and at it two
/// system calls: what the file takes, and whether the range has its space already, for then it
/// goes on being overwritten.
///
/// The file system does not count yet what is being written at that moment, so the limit can be
/// passed by the writes under way when it is asked (at most 1 MiB for each thread that writes),
/// and by what the file system itself needs to find the blocks again. Thread-safe.
class LocalLimit {
 public:
  /// `file` must outlive it.
  explicit LocalLimit(File& file) : file_(file) {}

  /// From now on `file` may take so many bytes; it may take more already.
  void set(std::uint64_t bytes) { limit_.store(bytes); }

  /// What is left when the file takes `allocated` bytes; UINT64_MAX without a limit.
  [[nodiscard]] std::uint64_t roomBelow(std::uint64_t allocated) const {
    const std::uint64_t limit = limit_.load();
    return limit == kUnlimited ? kUnlimited : limit - std::min(limit, allocated);
  }

  /// Whether a range of the file may be written or reserved. ENOSPC if it needs new space and the
  /// limit leaves none.
  std::error_code admit(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t limit = limit_.load(std::memory_order_relaxed);
    return limit == kUnlimited ? std::error_code{} : admitBelow(limit, offset, length);
  }
  /// ENOSPC if so much new space surely does not fit; takes nothing.
  [[nodiscard]] std::error_code check(std::uint64_t newBytes) const;

 private:
  static constexpr std::uint64_t kUnlimited = UINT64_MAX;
  std::error_code admitBelow(std::uint64_t limit, std::uint64_t offset, std::uint64_t length);
  bool take(std::uint64_t limit, std::uint64_t bytes);

  File& file_;
  std::atomic<std::uint64_t> limit_ = kUnlimited;
  /// What `file` takes at most, but for a discard. At first: not known.
  std::atomic<std::uint64_t> estimate_ = kUnlimited;
  Mutex mutex_;  ///< one thread at a time asks the file system
};

}  // namespace netcow
