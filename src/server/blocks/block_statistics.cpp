// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/block_statistics.h"

#include <algorithm>

namespace netcow {

BlockFigures BlockStatistics::figures() const {
  BlockFigures figures = {.clients = clients_,
                          .acceptedClients = acceptedClients_,
                          .refusedClients = refusedClients_,
                          .droppedClients = droppedClients_,
                          .requests = requests_,
                          .errors = errors_,
                          .bytes = bytes_,
                          .latency = {.totalMicroseconds = latencyMicroseconds_},
                          .images = {}};
  std::ranges::copy(latencyCounts_, figures.latency.counts.begin());
  const MutexLock lock(mutex_);
  for (const auto& [key, counters] : images_) {
    figures.images.push_back({.image = {key.first, key.second},
                              .clients = counters->clients,
                              .requests = counters->requests,
                              .bytes = counters->bytes});
  }
  return figures;
}

void BlockStatistics::repliesSent(std::uint64_t count, std::chrono::nanoseconds each) {
  const auto rounded = std::chrono::ceil<std::chrono::microseconds>(each).count();
  const auto microseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(rounded, 0));
  const auto& bounds = LatencyFigures::kBoundsMicroseconds;
  const auto bucket = std::ranges::lower_bound(bounds, microseconds) - bounds.begin();
  latencyCounts_[static_cast<std::size_t>(bucket)] += count;
  latencyMicroseconds_ += count * microseconds;
}

std::shared_ptr<ImageCounters> BlockStatistics::countersOf(const ImageName& image) {
  const MutexLock lock(mutex_);
  auto& counters = images_[{image.name, image.revision}];
  if (!counters) {
    counters = std::make_shared<ImageCounters>();
  }
  return counters;
}

}  // namespace netcow
