// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "server/metrics/metric_families.h"

namespace netcow {

/// Counts answers to HTTP requests by what was called, in a fixed number of kinds whatever clients
/// ask for. Thread-safe; counting takes no lock.
class HttpStatistics {
 public:
  /// A request for `path` (as canonicalPath() tells it) was answered after `taken`.
  void answered(std::string_view path, unsigned status, std::chrono::nanoseconds taken);

  [[nodiscard]] MetricFamilies families() const;

 private:
  /// The last one is for every other path.
  static constexpr std::array<std::string_view, 11> kCalls = {
      "create", "update",  "merge",   "cancel", "session", "status", "gettopmodifiedblocks",
      "page",   "metrics", "healthz", "other"};
  static constexpr std::array<double, 11> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                     0.1,   0.25,   1,     5,    30};
  static constexpr std::size_t kStatusClasses = 5;  // 1xx to 5xx

  using Counter = std::atomic<std::uint64_t>;
  struct Figures {
    std::array<Counter, kStatusClasses> answers = {};
    std::array<Counter, kBounds.size()> buckets = {};
    Counter nanoseconds = 0;
  };

  static std::size_t callOf(std::string_view path);

  std::array<Figures, kCalls.size()> calls_ = {};
};

}  // namespace netcow
