// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/metric_families.h"

#include <algorithm>
#include <limits>

namespace netcow {
namespace {

prometheus::MetricFamily family(const std::string& name, const std::string& help,
                                prometheus::MetricType type) {
  prometheus::MetricFamily made;
  made.name = name;
  made.help = help;
  made.type = type;
  return made;
}

prometheus::ClientMetric& addMetric(prometheus::MetricFamily& family, const MetricLabels& labels) {
  auto& metric = family.metric.emplace_back();
  for (const auto& [name, value] : labels) {
    metric.label.push_back({.name = name, .value = value});
  }
  return metric;
}

}  // namespace

prometheus::MetricFamily gaugeFamily(const std::string& name, const std::string& help) {
  return family(name, help, prometheus::MetricType::Gauge);
}

prometheus::MetricFamily counterFamily(const std::string& name, const std::string& help) {
  return family(name, help, prometheus::MetricType::Counter);
}

prometheus::MetricFamily histogramFamily(const std::string& name, const std::string& help) {
  return family(name, help, prometheus::MetricType::Histogram);
}

void addSample(prometheus::MetricFamily& family, double value, const MetricLabels& labels) {
  auto& metric = addMetric(family, labels);
  metric.gauge.value = value;
  metric.counter.value = value;
}

void addHistogram(prometheus::MetricFamily& family, std::span<const double> bounds,
                  std::span<const std::uint64_t> counts, std::uint64_t count, double sum,
                  const MetricLabels& labels) {
  auto& histogram = addMetric(family, labels).histogram;
  histogram.sample_sum = sum;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    below += counts[i];
    histogram.bucket.push_back({.cumulative_count = below, .upper_bound = bounds[i]});
  }
  // Counted one after the other while others count on, so the sum of the buckets may be ahead.
  histogram.sample_count = std::max(count, below);
  histogram.bucket.push_back({.cumulative_count = histogram.sample_count,
                              .upper_bound = std::numeric_limits<double>::infinity()});
}

prometheus::MetricFamily gauge(const std::string& name, const std::string& help, double value) {
  auto made = gaugeFamily(name, help);
  addSample(made, value);
  return made;
}

prometheus::MetricFamily counter(const std::string& name, const std::string& help, double value) {
  auto made = counterFamily(name, help);
  addSample(made, value);
  return made;
}

}  // namespace netcow
