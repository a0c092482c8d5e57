// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/unique_function.h"
#include "server/page/overview.h"

namespace netcow {

/// Makes overviews, but only while somebody asks, and at most one in a time: what it costs does not
/// depend on how many ask. Thread-safe.
class OverviewKeeper {
 public:
  using Shared = std::shared_ptr<const Overview>;
  /// Makes a new one; may take long. Called on the keeper's own thread only.
  using Make = std::function<Overview()>;
  /// Gets an overview, on the keeper's thread or on that of the caller.
  using Receiver = UniqueFunction<void(Shared)>;

  /// One that is not older than `longestAge` is handed out again. `clock` must outlive the keeper.
  explicit OverviewKeeper(Make make, std::chrono::milliseconds longestAge = std::chrono::seconds(1),
                          const Clock& clock = Clock::system());
  /// Receivers that still wait are destroyed without a call.
  ~OverviewKeeper();
  OverviewKeeper(const OverviewKeeper&) = delete;
  OverviewKeeper& operator=(const OverviewKeeper&) = delete;

  /// Hands over an overview: at once, or as soon as a new one is made. When making it fails, that
  /// is logged and the receiver destroyed without a call.
  void get(Receiver receiver);

  /// Something changed that whoever asks next should see.
  void forget();

 private:
  void work();
  [[nodiscard]] Shared makeOne() const;
  static void handOver(const Shared& overview, std::vector<Receiver>& receivers);
  [[nodiscard]] Shared freshOne() const NETCOW_REQUIRES(mutex_);

  const Make make_;
  const std::chrono::milliseconds longestAge_;
  const Clock& clock_;
  mutable Mutex mutex_;
  ConditionVariable changed_;
  Shared latest_ NETCOW_GUARDED_BY(mutex_);
  Clock::Time madeAt_ NETCOW_GUARDED_BY(mutex_);
  std::uint64_t forgotten_ NETCOW_GUARDED_BY(mutex_) = 0;  // calls of forget()
  std::vector<Receiver> waiting_ NETCOW_GUARDED_BY(mutex_);
  bool stopped_ NETCOW_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace netcow
