// SPDX-License-Identifier: Apache-2.0
#include "base/progress_meter.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

namespace netcow {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr std::chrono::seconds kWindow{10};
/// A shorter pause is no reason to worry anybody.
constexpr std::chrono::seconds kWorthTelling{5};
constexpr std::size_t kWidestBar = 40;
constexpr std::size_t kNarrowestBar = 10;

}  // namespace

ProgressMeter::ProgressMeter(std::uint64_t total, Clock::Time begin)
    : total_(total), samples_{{begin, 0}}, lastMoved_(begin) {}

void ProgressMeter::note(std::uint64_t done, Clock::Time now) {
  const std::uint64_t before = samples_.back().done;
  if (done > before) {
    lastMoved_ = now;
  }
  samples_.push_back({now, std::max(before, std::min(done, total_))});
  while (samples_.size() > 2 && samples_[1].time + kWindow <= now) {
    samples_.pop_front();
  }
}

double ProgressMeter::bytesPerSecond() const {
  const Seconds time = samples_.back().time - samples_.front().time;
  const auto bytes = static_cast<double>(samples_.back().done - samples_.front().done);
  return time.count() > 0 ? bytes / time.count() : 0;
}

std::optional<std::chrono::seconds> ProgressMeter::timeLeft() const {
  const double rate = bytesPerSecond();
  if (rate <= 0) {
    return std::nullopt;
  }
  const std::uint64_t done = std::min(samples_.back().done, total_);
  const Seconds left(static_cast<double>(total_ - done) / rate);
  return std::chrono::ceil<std::chrono::seconds>(left);
}

std::chrono::seconds ProgressMeter::standstill() const {
  return std::chrono::duration_cast<std::chrono::seconds>(samples_.back().time - lastMoved_);
}

double ProgressMeter::share() const {
  const auto done = static_cast<double>(samples_.back().done);
  return total_ == 0 ? 1 : std::min(1.0, done / static_cast<double>(total_));
}

std::string ProgressMeter::text() const {
  // Rounded down: 100 % means all.
  const std::string how = fmt::format("{} %, {} of {}", static_cast<int>(100 * share()),
                                      sizeText(static_cast<double>(samples_.back().done)),
                                      sizeText(static_cast<double>(total_)));
  if (standstill() >= kWorthTelling) {
    return fmt::format("{}, nothing moved for {}", how, durationText(standstill()));
  }
  const auto left = timeLeft();
  return fmt::format("{}, {}/s{}", how, sizeText(bytesPerSecond()),
                     left ? ", " + durationText(*left) + " left" : "");
}

std::string ProgressMeter::bar(std::size_t width) const {
  const std::string tail = text();
  const std::size_t frame = sizeof "[] " - 1;
  const std::size_t room = width > tail.size() + frame ? width - tail.size() - frame : 0;
  if (room < kNarrowestBar) {
    return tail.substr(0, width);
  }
  return barText(share(), std::min(room, kWidestBar)) + " " + tail;
}

std::string barText(double share, std::size_t length) {
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(length));
  std::string bar(filled, '=');
  if (filled < length) {
    bar += '>';
  }
  bar.resize(length, ' ');
  return "[" + bar + "]";
}

std::string sizeText(double bytes) {
  static constexpr std::array kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} bytes", bytes)
                   : fmt::format("{:.1f} {}", bytes, kUnits.at(unit));
}

std::string durationText(std::chrono::seconds duration) {
  const auto seconds = duration.count();
  if (seconds < 3600) {
    return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
  }
  return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

}  // namespace netcow
