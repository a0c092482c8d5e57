// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

#include "base/mutex.h"
#include "server/uploads/upload_record.h"

namespace netcow {

/// How long updates took, from the call to the acknowledgement.
struct UpdateLatencies {
  /// Upper ends of the buckets, in seconds; what took longer than the last is in none.
  static constexpr std::array<double, 12> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                     0.1,   0.25,   0.5,   1,    2.5,   10};
  std::array<std::uint64_t, kBounds.size()> counts = {};  ///< of each bucket alone
  std::uint64_t count = 0;                                ///< of all
  double seconds = 0;                                     ///< the sum of all
};

/// What the upload service did since it was started.
struct UploadCounts {
  std::uint64_t updates = 0;            ///< acknowledged
  std::uint64_t updateBytes = 0;        ///< in them
  std::uint64_t supersededUpdates = 0;  ///< acknowledged, but a newer one was there already
  std::uint64_t refusedUpdates = 0;     ///< wrong in themselves, or for no upload that takes any
  std::uint64_t updatesWithoutRoom = 0;
  std::uint64_t failedUpdates = 0;  ///< the disk failed
  UpdateLatencies latencies;        ///< of those acknowledged
  std::uint64_t commits = 0;        ///< of uploads; updates share them
  std::uint64_t mergesDone = 0;
  std::uint64_t mergesFailed = 0;
  std::uint64_t mergesCancelled = 0;
  double mergeSeconds = 0;  ///< the sum of all that ended
};

/// Everything about the upload service in numbers, at one moment.
struct UploadFigures {
  std::map<UploadState, std::uint64_t> sessions;  ///< how many are in each state; every state
  std::uint64_t mergesWaiting = 0;
  std::uint64_t mergesRunning = 0;
  std::uint64_t freeBytes = 0;      ///< on the disk with the uploads
  std::uint64_t reservedBytes = 0;  ///< of these, what is not used for uploads
  UploadCounts counts;
};

/// Counts for UploadFigures. Thread-safe.
class UploadCounters {
 public:
  /// Runs change(UploadCounts&).
  template <class Change>
  void count(Change change) {
    const MutexLock lock(mutex_);
    change(counts_);
  }
  /// Another update was acknowledged.
  void updateDone(std::uint64_t bytes, double seconds);
  [[nodiscard]] UploadCounts counts() const;

 private:
  mutable Mutex mutex_;
  UploadCounts counts_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow
