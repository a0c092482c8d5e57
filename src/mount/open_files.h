// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace netcow {

/// Keeps the kernel's page cache of `img` honest about writes that bypass it.
///
/// The cache outlives the opens that filled it. So a direct write must either have its range
/// invalidated (while somebody may read through the cache) or leave a mark that makes the next
/// cached open start with an empty cache. Either side announces itself before it looks at the
/// other, so that one of the two always happens. Thread-safe.
class OpenFiles {
 public:
  /// A cached open begins. True: what the cache still holds is right and may stay.
  [[nodiscard]] bool openCached() {
    ++cachedOpens_;
    return !cacheIsStale_.exchange(false);
  }
  void closeCached() { --cachedOpens_; }

  /// A direct write has changed the image. True: its range must be invalidated before it is
  /// answered.
  [[nodiscard]] bool mustInvalidateAfterDirectWrite() {
    if (cachedOpens_.load() == 0) {
      cacheIsStale_.store(true);
    }
    return cachedOpens_.load() > 0;
  }

 private:
  // All sequentially consistent: the argument above needs one order of all four accesses.
  std::atomic<std::uint64_t> cachedOpens_ = 0;
  std::atomic<bool> cacheIsStale_ = false;
};

}  // namespace netcow
