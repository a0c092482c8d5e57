// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/blocks/block_statistics.h"
#include "server/http/http_message.h"
#include "server/metrics/http_statistics.h"
#include "server/uploads/upload_figures.h"

namespace netcow {

/// The answer to GET /metrics: everything in figures, for Prometheus.
HttpResponse tellMetrics(const BlockFigures& blocks, const UploadFigures& uploads,
                         const HttpStatistics& http);

}  // namespace netcow
