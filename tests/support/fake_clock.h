// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "base/clock.h"

namespace netcow::test {

/// Time that moves only when a test says so. Thread-safe.
class FakeClock : public Clock {
 public:
  [[nodiscard]] Time now() const override { return Time(Time::duration(nanoseconds_.load())); }
  [[nodiscard]] std::int64_t unixSeconds() const override {
    return kStart + nanoseconds_.load() / 1'000'000'000;
  }
  void advance(std::chrono::nanoseconds step) { nanoseconds_ += step.count(); }

 private:
  static constexpr std::int64_t kStart = 1'700'000'000;
  std::atomic<std::int64_t> nanoseconds_ = 3'600'000'000'000;
};

}  // namespace netcow::test
