// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <system_error>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "session/block_map.h"
#include "session/live_file.h"

namespace netcow {

/// The tables of an open session: the block map together with its image in `live`, and the list of
/// what the next checkpoint has to write to `meta`. Thread-safe; changes of one cluster are the
/// caller's to order, by its stripe.
class SessionTables {
 public:
  SessionTables(BlockMap& map, File& meta, LiveFile& live, const MetaLayout& layout,
                const Clock& clock);

  /// The cluster, with a table made for it where there is none. Space for the table is taken in
  /// `meta` and `live` at once, so that a full disk is this writer's error and never a
  /// checkpoint's.
  std::error_code obtain(std::uint64_t cluster, Cluster*& state);

  /// Writes the cluster's entry, with `bits` and `dirty`, to `live`, and remembers it for the
  /// checkpoint. The caller holds the cluster's stripe, and publishes both only on success.
  std::error_code save(std::uint64_t cluster, Cluster& state, const ClusterBits& bits, bool dirty);

  /// Runs `publish` while no table is copied to `live`: whoever copies one sees all that it
  /// publishes, or nothing. The caller may hold a stripe.
  template <class Publish>
  void publishAtOnce(Publish publish) {
    const MutexLock lock(tablesMutex_);
    publish();
  }

  /// One behind the last table in use.
  [[nodiscard]] std::int32_t nextTable() const;

  /// What changed since the last call; each cluster's needsCheckpoint is still set.
  std::vector<std::uint64_t> takeChanged();
  /// Undoes takeChanged() after a checkpoint that failed.
  void putBackChanged(const std::vector<std::uint64_t>& clusters);
  [[nodiscard]] bool anyChanged() const;

 private:
  std::error_code makeTable(std::uint64_t number);
  std::error_code copyToLive(std::uint64_t number, Table& table);

  BlockMap& map_;
  LiveFile& live_;
  TableFile metaTables_;
  const Clock& clock_;
  mutable Mutex tablesMutex_;  ///< while a table is made or copied; never while syncing
  /// By index. A power cut may take back a table and leave one with a higher index, so there can
  /// be gaps; as all indexes together are as many as tables can be, they are used again.
  std::vector<bool> indexUsed_ NETCOW_GUARDED_BY(tablesMutex_);
  mutable Mutex changedMutex_;
  std::vector<std::uint64_t> changed_ NETCOW_GUARDED_BY(changedMutex_);
};

/// The entries of a whole table as they are published now.
void encodeTable(const Table& table, const Clock& clock, TableEntries& entries);

}  // namespace netcow
