// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

namespace netcow {

/// A round trip smoothed over several measurements, as TCP smooths its own. A value.
class RoundTrip {
 public:
  using Time = std::chrono::nanoseconds;

  /// Each measurement moves the average by one part in `weight`; the first one sets it.
  explicit RoundTrip(int weight = 8) : weight_(weight) {}

  void note(Time measured) {
    shortest_ = std::min(shortest_.value_or(measured), measured);
    smoothed_ = smoothed_ ? *smoothed_ + (measured - *smoothed_) / weight_ : measured;
  }
  /// Nothing before the first measurement.
  [[nodiscard]] std::optional<Time> smoothed() const { return smoothed_; }
  [[nodiscard]] std::optional<Time> shortest() const { return shortest_; }

 private:
  int weight_;
  std::optional<Time> smoothed_;
  std::optional<Time> shortest_;
};

/// For people, in milliseconds.
inline std::string roundTripText(RoundTrip::Time time) {
  return fmt::format("{:.2f} ms", std::chrono::duration<double, std::milli>(time).count());
}

}  // namespace netcow
