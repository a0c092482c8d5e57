// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace netcow {

/// Families of metrics as Prometheus reads them, built from figures that somebody else counts.
using MetricFamilies = std::vector<prometheus::MetricFamily>;
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

/// A value that goes up and down. Without samples the family is left out when it is written.
prometheus::MetricFamily gaugeFamily(const std::string& name, const std::string& help);
/// A value that only grows; `name` ends in _total.
prometheus::MetricFamily counterFamily(const std::string& name, const std::string& help);
prometheus::MetricFamily histogramFamily(const std::string& name, const std::string& help);

/// Adds a sample to a family of gauges or counters.
void addSample(prometheus::MetricFamily& family, double value, const MetricLabels& labels = {});

/// Adds a sample to a family of histograms. `bounds`: upper ends of the buckets in seconds, each
/// included; `counts`: what is in each bucket alone, in the same order; `count` and `sum`: of all,
/// also those above the last bound.
void addHistogram(prometheus::MetricFamily& family, std::span<const double> bounds,
                  std::span<const std::uint64_t> counts, std::uint64_t count, double sum,
                  const MetricLabels& labels = {});

/// Families with one sample each, which is what most are.
prometheus::MetricFamily gauge(const std::string& name, const std::string& help, double value);
prometheus::MetricFamily counter(const std::string& name, const std::string& help, double value);

}  // namespace netcow
