// SPDX-License-Identifier: Apache-2.0
#include "session/dirty_clusters.h"

#include <cstdint>
#include <iterator>
#include <utility>

namespace netcow {

void DirtyClusters::add(std::uint64_t cluster, Clock::Time changedAt) {
  const MutexLock lock(mutex_);
  const bool wasEmpty = entries_.empty();
  entries_.emplace(changedAt, cluster);
  countedOlder_ += changedAt <= countedTo_ ? 1 : 0;
  if (wasEmpty && wake_) {
    wake_();
  }
}

void DirtyClusters::whenNoLongerEmpty(std::function<void()> wake) {
  const MutexLock lock(mutex_);
  wake_ = std::move(wake);
}

std::optional<std::uint64_t> DirtyClusters::takeOlderThan(Clock::Time latest) {
  const MutexLock lock(mutex_);
  if (entries_.empty() || entries_.begin()->first > latest) {
    return std::nullopt;
  }
  const auto [changedAt, cluster] = *entries_.begin();
  countedOlder_ -= changedAt <= countedTo_ ? 1 : 0;
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
  const auto firstAfter = [this](Clock::Time time) NETCOW_REQUIRES(mutex_) {
    return entries_.upper_bound(Entry(time, UINT64_MAX));
  };
  const auto distance = [](auto from, auto to) {
    return static_cast<std::uint64_t>(std::distance(from, to));
  };
  if (latest >= countedTo_) {
    countedOlder_ += distance(firstAfter(countedTo_), firstAfter(latest));
  } else {
    countedOlder_ -= distance(firstAfter(latest), firstAfter(countedTo_));
  }
  countedTo_ = latest;
  return countedOlder_;
}

}  // namespace netcow
