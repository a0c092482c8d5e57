// SPDX-License-Identifier: Apache-2.0
#include "upload/outage_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/logging.h"
#include "base/progress_meter.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::minutes kFirstInterval = 1min;
constexpr std::chrono::minutes kLongestInterval = 30min;

void logLine(OutageLog::Line line, const std::string& text) {
  switch (line) {
    case OutageLog::Line::away:
    case OutageLog::Line::stillAway:
      spdlog::warn("{}", text);
      break;
    case OutageLog::Line::back:
      spdlog::info("{}", text);
      break;
    case OutageLog::Line::detail:
      spdlog::debug("{}", text);
      break;
  }
}

std::string pending(std::uint64_t clusters) {
  return clusters == 0   ? "all clusters are uploaded"
         : clusters == 1 ? "1 cluster is not uploaded"
                         : fmt::format("{} clusters are not uploaded", clusters);
}

}  // namespace

OutageLog::OutageLog(std::string server, const Clock& clock, Sink sink)
    : server_(std::move(server)),
      clock_(clock),
      sink_(sink ? std::move(sink) : Sink(logLine)),
      since_(clock.now()),
      next_(clock.now()) {}

void OutageLog::tellAgainAfter(std::chrono::minutes interval) {
  interval_ = std::clamp(interval, kFirstInterval, kLongestInterval);
  next_ = clock_.now() + interval_;
}

void OutageLog::failed(const std::string& problem, std::uint64_t clusters) {
  const auto now = clock_.now();
  if (now < next_) {
    sink_(Line::detail, problem);
    return;
  }
  if (away_) {
    const auto length = std::chrono::duration_cast<std::chrono::seconds>(now - since_);
    sink_(Line::stillAway, fmt::format("uploads to {} have failed for {}: {}; {}", server_,
                                       durationText(length), problem, pending(clusters)));
    tellAgainAfter(2 * interval_);
    return;
  }
  // If it was away a moment ago it comes and goes.
  const bool comesAndGoes = now < next_ + interval_;
  away_ = true;
  since_ = now;
  sink_(Line::away, fmt::format("uploads to {} fail, and are tried until they pass: {}; {}",
                                server_, problem, pending(clusters)));
  tellAgainAfter(comesAndGoes ? 2 * interval_ : kFirstInterval);
}

void OutageLog::succeeded(std::uint64_t clusters) {
  if (!away_) {
    return;
  }
  away_ = false;
  const auto length = std::chrono::duration_cast<std::chrono::seconds>(clock_.now() - since_);
  sink_(Line::back, fmt::format("{} takes uploads again, after {}; {}", server_,
                                durationText(length), pending(clusters)));
  next_ = clock_.now() + interval_;
}

}  // namespace netcow
