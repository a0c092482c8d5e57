// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/upload_figures.h"

#include <algorithm>

namespace netcow {

void UploadCounters::updateDone(std::uint64_t bytes, double seconds) {
  const auto bound = std::ranges::lower_bound(UpdateLatencies::kBounds, seconds);
  const MutexLock lock(mutex_);
  ++counts_.updates;
  counts_.updateBytes += bytes;
  if (bound != UpdateLatencies::kBounds.end()) {
    ++counts_.latencies.counts[static_cast<std::size_t>(bound - UpdateLatencies::kBounds.begin())];
  }
  ++counts_.latencies.count;
  counts_.latencies.seconds += seconds;
}

UploadCounts UploadCounters::counts() const {
  const MutexLock lock(mutex_);
  return counts_;
}

}  // namespace netcow
