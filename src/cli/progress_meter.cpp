// SPDX-License-Identifier: Apache-2.0
#include "cli/progress_meter.h"

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
  if (done != samples_.back().done) {
    lastMoved_ = now;
  }
  samples_.push_back({now, std::min(done, total_)});
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
  const Seconds left(static_cast<double>(total_ - samples_.back().done) / rate);
  return std::chrono::ceil<std::chrono::seconds>(left);
}

std::chrono::seconds ProgressMeter::standstill() const {
  return std::chrono::duration_cast<std::chrono::seconds>(samples_.back().time - lastMoved_);
}

std::string ProgressMeter::text() const {
  const std::uint64_t done = samples_.back().done;
  const double share = 100.0 * static_cast<double>(done) / static_cast<double>(total_);
  // Rounded down: 100 % means all.
  const std::string how =
      fmt::format("{} %, {} of {}", static_cast<int>(share), sizeText(static_cast<double>(done)),
                  sizeText(static_cast<double>(total_)));
  if (standstill() >= kWorthTelling) {
    return fmt::format("{}, nothing came for {}", how, durationText(standstill()));
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
  const std::size_t length = std::min(room, kWidestBar);
  const double share = static_cast<double>(samples_.back().done) / static_cast<double>(total_);
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(length));
  std::string bar(filled, '=');
  if (filled < length) {
    bar += '>';
  }
  bar.resize(length, ' ');
  return "[" + bar + "] " + tail;
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
