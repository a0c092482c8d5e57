// SPDX-License-Identifier: Apache-2.0
#include "session/dirty_clusters.h"

#include <algorithm>

namespace netcow {

void DirtyClusters::add(std::uint64_t cluster, Clock::Time changedAt) {
  const MutexLock lock(mutex_);
  entries_.emplace(changedAt, cluster);
}

std::optional<std::uint64_t> DirtyClusters::takeOlderThan(Clock::Time latest) {
  const MutexLock lock(mutex_);
  if (entries_.empty() || entries_.begin()->first > latest) {
    return std::nullopt;
  }
  const std::uint64_t cluster = entries_.begin()->second;
  entries_.erase(entries_.begin());
  return cluster;
}

std::optional<Clock::Time> DirtyClusters::oldest() const {
  const MutexLock lock(mutex_);
  if (entries_.empty()) {
    return std::nullopt;
  }
  return entries_.begin()->first;
}

std::uint64_t DirtyClusters::size() const {
  const MutexLock lock(mutex_);
  return entries_.size();
}

std::uint64_t DirtyClusters::countOlderThan(Clock::Time latest) const {
  const MutexLock lock(mutex_);
  const auto count = std::count_if(entries_.begin(), entries_.end(),
                                   [latest](const auto& entry) { return entry.first <= latest; });
  return static_cast<std::uint64_t>(count);
}

}  // namespace netcow
