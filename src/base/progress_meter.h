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

/// How far something that is counted in bytes is, and how fast it goes. Not thread-safe.
class ProgressMeter {
 public:
  /// `total`: bytes.
  ProgressMeter(std::uint64_t total, Clock::Time begin);

  /// More has to be done than it seemed, or less.
  void setTotal(std::uint64_t total) { total_ = total; }
  /// So many bytes are done. Less than before: some was in vain, which is not shown.
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
  /// What is done of the total, from 0 to 1.
  [[nodiscard]] double share() const;

  std::uint64_t total_;
  std::deque<Sample> samples_;  // the last ten seconds', and one before; never empty
  Clock::Time lastMoved_;
};

/// "[=====>     ]" for a share from 0 to 1, `length` columns between the brackets.
std::string barText(double share, std::size_t length);
/// "1.5 GiB"; whole bytes below 1 KiB.
std::string sizeText(double bytes);
/// "0:05", "12:34", "1:02:03".
std::string durationText(std::chrono::seconds duration);

}  // namespace netcow
