// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/metrics.h"

#include <algorithm>
#include <iterator>

#include "server/metrics/process_metrics.h"
#include "server/metrics/server_metrics.h"

namespace netcow {

HttpResponse tellMetrics(const BlockFigures& blocks, const UploadFigures& uploads,
                         const HttpStatistics& http) {
  MetricFamilies families = blockMetrics(blocks);
  std::ranges::move(uploadMetrics(uploads), std::back_inserter(families));
  std::ranges::move(http.families(), std::back_inserter(families));
  std::ranges::move(processMetrics(), std::back_inserter(families));
  return {.body = metricsText(families), .contentType = "text/plain; version=0.0.4; charset=utf-8"};
}

}  // namespace netcow
