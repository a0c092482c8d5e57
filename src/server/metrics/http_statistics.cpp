// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/http_statistics.h"

#include <algorithm>
#include <string>

namespace netcow {
namespace {

/// What is behind the folder of a path; "page" for what the page is made of.
std::string_view nameOf(std::string_view path) {
  constexpr std::string_view kUploadCalls = "/v1/file/";
  if (path.starts_with(kUploadCalls)) {
    return path.substr(kUploadCalls.size());
  }
  if (path == "/" || path.starts_with("/page/") || path.starts_with("/api/")) {
    return "page";
  }
  return path == "/metrics" || path == "/healthz" ? path.substr(1) : "other";
}

}  // namespace

std::size_t HttpStatistics::callOf(std::string_view path) {
  const auto found = std::ranges::find(kCalls, nameOf(path));
  return std::min<std::size_t>(static_cast<std::size_t>(found - kCalls.begin()), kCalls.size() - 1);
}

void HttpStatistics::answered(std::string_view path, unsigned status,
                              std::chrono::nanoseconds taken) {
  Figures& figures = calls_[callOf(path)];
  const double seconds = std::chrono::duration<double>(taken).count();
  const auto bucket = std::ranges::lower_bound(kBounds, seconds);
  if (bucket != kBounds.end()) {
    ++figures.buckets[static_cast<std::size_t>(bucket - kBounds.begin())];
  }
  figures.nanoseconds += static_cast<std::uint64_t>(taken.count());
  ++figures.answers[std::clamp<std::size_t>(status / 100, 1, kStatusClasses) - 1];
}

MetricFamilies HttpStatistics::families() const {
  auto answers = counterFamily("netcow_http_requests_total",
                               "HTTP requests that were answered, by call and class of status");
  auto durations = histogramFamily("netcow_http_request_duration_seconds",
                                   "From a request to its answer, by call");
  for (std::size_t i = 0; i < kCalls.size(); ++i) {
    const Figures& figures = calls_[i];
    const std::string call(kCalls[i]);
    std::uint64_t count = 0;
    for (std::size_t status = 0; status < kStatusClasses; ++status) {
      const std::uint64_t value = figures.answers[status];
      count += value;
      if (value > 0) {
        addSample(answers, static_cast<double>(value),
                  {{"call", call}, {"code", std::to_string(status + 1) + "xx"}});
      }
    }
    if (count > 0) {
      std::array<std::uint64_t, kBounds.size()> buckets = {};
      std::ranges::copy(figures.buckets, buckets.begin());
      addHistogram(durations, kBounds, buckets, count,
                   static_cast<double>(figures.nanoseconds) / 1e9, {{"call", call}});
    }
  }
  return {std::move(answers), std::move(durations)};
}

}  // namespace netcow
