// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace netcow {

/// Time as the program sees it; tests put a fake in its place. Thread-safe.
class Clock {
 public:
  using Time = std::chrono::steady_clock::time_point;

  virtual ~Clock() = default;
  /// Never goes back; for ages, time limits and rates.
  [[nodiscard]] virtual Time now() const = 0;
  /// Seconds since 1970, for what is stored and shown.
  [[nodiscard]] virtual std::int64_t unixSeconds() const = 0;

  /// The machine's own clock.
  static const Clock& system();
};

}  // namespace netcow
