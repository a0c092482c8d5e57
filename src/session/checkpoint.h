// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <system_error>
#include <vector>

#include "base/mutex.h"
#include "session/data_file.h"
#include "session/header_state.h"
#include "session/meta_digest.h"
#include "session/session_tables.h"

namespace netcow {

/// Makes everything acknowledged so far survive a power cut.
///
/// The order is the whole point:
///   1. take the changed entries and the header out of memory; what changes later is the next
///      checkpoint's;
///   2. sync `data`, so that no entry ever points at content that is not there;
///   3. write the entries and the header to `meta`, in place. Each lies within one 512-byte
///      sector, so a torn `meta` holds for each either the old or the new state, and both have
///      their content. A new table is synced before L1 points to it;
///   4. sync `meta`, and answer.
/// A sync that failed makes every later checkpoint fail with EIO, and `live` says so to the next
/// opener: the kernel may have dropped pages that it could not write. Thread-safe.
class Checkpointer {
 public:
  Checkpointer(BlockMap& map, SessionTables& tables, HeaderState& header, DataFile& data,
               File& meta, LiveFile& live, const MetaLayout& layout, const Clock& clock);

  /// Returns when a checkpoint that began after the call has ended; concurrent callers share one.
  std::error_code run();
  [[nodiscard]] bool needed() const;
  /// How many have begun and ended. Where both are the same, before and after a look, none ran
  /// meanwhile.
  [[nodiscard]] std::uint64_t begun() const { return begun_.load(); }
  [[nodiscard]] std::uint64_t ended() const { return ended_.load(); }
  /// A sync has failed: none will succeed any more. Set before that one ends.
  [[nodiscard]] bool failedForGood() const { return failedForGood_.load(); }

 private:
  struct Change {
    std::uint64_t cluster;
    ClusterEntry entry;
  };
  std::error_code runLocked() NETCOW_REQUIRES(mutex_);
  std::vector<Change> collect(const std::vector<std::uint64_t>& clusters);
  std::error_code writeMeta(const std::vector<Change>& changes, const MetaHeader& header,
                            bool& syncHasFailed) NETCOW_REQUIRES(mutex_);
  std::error_code syncFailed() NETCOW_REQUIRES(mutex_);
  void putBack(const std::vector<std::uint64_t>& clusters);

  BlockMap& map_;
  SessionTables& tables_;
  HeaderState& header_;
  DataFile& data_;
  File& meta_;
  LiveFile& live_;
  TableFile metaTables_;
  const Clock& clock_;

  Mutex mutex_;
  MetaDigest digest_ NETCOW_GUARDED_BY(mutex_);  ///< told of everything written to `meta`
  std::atomic<std::uint64_t> begun_ = 0;
  std::atomic<std::uint64_t> ended_ = 0;  ///< changed under the lock
  std::error_code lastResult_ NETCOW_GUARDED_BY(mutex_);
  std::atomic<bool> failedForGood_ = false;
};

}  // namespace netcow
