// SPDX-License-Identifier: Apache-2.0
#include "session/local_limit.h"

#include <cerrno>

#include "base/errors.h"

namespace netcow {

bool LocalLimit::take(std::uint64_t limit, std::uint64_t bytes) {
  std::uint64_t known = estimate_.load(std::memory_order_relaxed);
  do {
    if (known > limit || bytes > limit - known) {
      return false;
    }
  } while (!estimate_.compare_exchange_weak(known, known + bytes, std::memory_order_relaxed));
  return true;
}

std::error_code LocalLimit::check(std::uint64_t newBytes) const {
  const std::uint64_t limit = limit_.load();
  if (limit == kUnlimited) {
    return {};
  }
  std::uint64_t allocated = 0;
  if (const auto error = file_.allocatedBytes(allocated)) {
    return error;
  }
  const std::uint64_t room = limit > allocated ? limit - allocated : 0;
  return newBytes > room ? errnoCode(ENOSPC) : std::error_code{};
}

std::error_code LocalLimit::admitBelow(std::uint64_t limit, std::uint64_t offset,
                                       std::uint64_t length) {
  if (take(limit, length)) {
    return {};
  }
  const MutexLock lock(mutex_);
  std::uint64_t allocated = 0;
  if (const auto error = file_.allocatedBytes(allocated)) {
    return error;
  }
  std::uint64_t space = 0;
  if (const auto error = file_.spaceIn(offset, length, space)) {
    return error;
  }
  estimate_.store(allocated, std::memory_order_relaxed);
  const bool fits = space >= length || take(limit, length - space);
  return fits ? std::error_code{} : errnoCode(ENOSPC);
}

}  // namespace netcow
