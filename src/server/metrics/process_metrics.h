// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/metrics/metric_families.h"

namespace netcow {

/// What Prometheus' own clients tell about a process: processor time, memory, descriptors, threads,
/// when it began. What the system does not tell is left out.
MetricFamilies processMetrics();

}  // namespace netcow
