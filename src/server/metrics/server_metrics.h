// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/blocks/block_statistics.h"
#include "server/metrics/metric_families.h"
#include "server/uploads/upload_figures.h"

namespace netcow {

/// Images with metrics of their own: those that were served most. Each is two time series.
constexpr std::size_t kMostImagesInMetrics = 100;

/// What the dnbd3 side tells.
MetricFamilies blockMetrics(const BlockFigures& figures);
/// What the upload service tells.
MetricFamilies uploadMetrics(const UploadFigures& figures);

/// Families as text, in the format that Prometheus reads (its version 0.0.4).
std::string metricsText(const MetricFamilies& families);

}  // namespace netcow
