// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/clock.h"

namespace netcow {

/// How far something of a known size is, and how fast it goes. Not thread-safe.
class ProgressMeter {
 public:
  /// `total`: bytes, more than 0.
  ProgressMeter(std::uint64_t total, Clock::Time begin);

  /// So many bytes are done; never less than before.
  void note(std::uint64_t done, Clock::Time now);

  /// Over the last ten seconds.
  [[nodiscard]] double bytesPerSecond() const;
  /// At that rate; nothing while nothing moves.
  [[nodiscard]] std::optional<std::chrono::seconds> timeLeft() const;
  /// Since a byte was done last.
  [[nodiscard]] std::chrono::seconds standstill() const;

  /// "45 %, 1.2 of 2.6 GiB, 112.0 MiB/s, 0:13 left", or for how long nothing moved.
  [[nodiscard]] std::string text() const;
  /// "[=====>     ] " and text(), at most `width` columns.
  [[nodiscard]] std::string bar(std::size_t width) const;

 private:
  struct Sample {
    Clock::Time time;
    std::uint64_t done;
  };
  const std::uint64_t total_;
  std::deque<Sample> samples_;  // the last ten seconds', and one before; never empty
  Clock::Time lastMoved_;
};

/// "1.5 GiB"; whole bytes below 1 KiB.
std::string sizeText(double bytes);
/// "0:05", "12:34", "1:02:03".
std::string durationText(std::chrono::seconds duration);

}  // namespace netcow
