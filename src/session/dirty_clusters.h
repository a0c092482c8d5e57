// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"

namespace netcow {

/// The queue of dirty clusters, in the order of their age.
///
/// Every call costs by the number of dirty clusters, never by that of local ones. Writers call in
/// only when a cluster turns dirty; how old its newest change is, the session asks when its turn
/// comes. Thread-safe.
class DirtyClusters {
 public:
  /// Puts in a cluster that is not in here.
  void add(std::uint64_t cluster, Clock::Time changedAt);

  /// From now on `wake` is called whenever a cluster is added and none was in here: quickly, from
  /// any thread, and it must not call in here. Empty: nobody is told. Once this has returned, what
  /// was set before is not called any more.
  void whenNoLongerEmpty(std::function<void()> wake);

  /// Takes out a cluster that was added with a time at or before `latest`; the oldest first.
  std::optional<std::uint64_t> takeOlderThan(Clock::Time latest);

  [[nodiscard]] std::optional<Clock::Time> oldest() const;
  [[nodiscard]] std::uint64_t size() const;
  /// Entries with a time at or before `latest`. Costs by how many lie between this `latest` and
  /// that of the call before, so that a report every few seconds looks at each entry once.
  [[nodiscard]] std::uint64_t countOlderThan(Clock::Time latest) const;

 private:
  using Entry = std::pair<Clock::Time, std::uint64_t>;

  mutable Mutex mutex_;
  std::function<void()> wake_ NETCOW_GUARDED_BY(mutex_);
  std::set<Entry> entries_ NETCOW_GUARDED_BY(mutex_);
  // countedOlder_ entries have a time at or before countedTo_.
  mutable Clock::Time countedTo_ NETCOW_GUARDED_BY(mutex_) = Clock::Time::min();
  mutable std::uint64_t countedOlder_ NETCOW_GUARDED_BY(mutex_) = 0;
};

}  // namespace netcow
