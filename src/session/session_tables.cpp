// SPDX-License-Identifier: Apache-2.0
#include "session/session_tables.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "base/errors.h"

namespace netcow {

SessionTables::SessionTables(BlockMap& map, File& meta, LiveFile& live, const MetaLayout& layout,
                             const Clock& clock)
    : map_(map),
      live_(live),
      metaTables_(meta, 0, layout),
      clock_(clock),
      indexUsed_(layout.tables, false) {
  for (std::uint64_t number = 0; number < map.tableCount(); ++number) {
    if (const Table* const table = map.table(number)) {
      indexUsed_[static_cast<std::size_t>(table->index)] = true;
    }
  }
}

std::error_code SessionTables::obtain(std::uint64_t cluster, Cluster*& state) {
  const std::uint64_t number = cluster / kClustersPerTable;
  if (map_.table(number) == nullptr) {
    if (const auto error = makeTable(number)) {
      return error;
    }
  }
  state = &map_.table(number)->obtain(cluster % kClustersPerTable);
  return {};
}

std::error_code SessionTables::makeTable(std::uint64_t number) {
  const MutexLock lock(tablesMutex_);
  if (map_.table(number) != nullptr) {
    return {};
  }
  const auto unused = std::find(indexUsed_.begin(), indexUsed_.end(), false);
  if (unused == indexUsed_.end()) {
    return errnoCode(EFBIG);
  }
  const auto index = static_cast<std::int32_t>(unused - indexUsed_.begin());
  auto table = std::make_unique<Table>(index);
  TableEntries entries;
  encodeTable(*table, clock_, entries);
  // L1 of `meta` does not name it yet, so this is no change of `meta` to anybody.
  if (const auto error = metaTables_.writeTable(index, entries)) {
    return error;
  }
  if (const auto liveError = live_.tables().writeTable(index, entries)) {
    return liveError;
  }
  if (const auto liveError = live_.tables().writeL1Entry(number, index)) {
    return liveError;
  }
  table->inLive = true;
  map_.put(number, std::move(table));
  *unused = true;
  return {};
}

std::error_code SessionTables::copyToLive(std::uint64_t number, Table& table) {
  const MutexLock lock(tablesMutex_);
  if (table.inLive) {
    return {};
  }
  TableEntries entries;
  encodeTable(table, clock_, entries);
  if (const auto error = live_.tables().writeTable(table.index, entries)) {
    return error;
  }
  if (const auto error = live_.tables().writeL1Entry(number, table.index)) {
    return error;
  }
  table.inLive = true;
  return {};
}

std::error_code SessionTables::save(std::uint64_t cluster, Cluster& state, const ClusterBits& bits,
                                    bool dirty) {
  const std::uint64_t number = cluster / kClustersPerTable;
  Table& table = *map_.table(number);
  state.unsaved = true;
  if (!table.inLive) {
    if (const auto error = copyToLive(number, table)) {
      return error;
    }
  }
  const ClusterEntry entry = encodeEntry(state, bits, dirty, clock_);
  if (const auto error =
          live_.tables().writeEntry(table.index, cluster % kClustersPerTable, entry)) {
    return error;
  }
  state.unsaved = false;
  if (!std::exchange(state.needsCheckpoint, true)) {
    const MutexLock lock(changedMutex_);
    changed_.push_back(cluster);
  }
  return {};
}

std::int32_t SessionTables::nextTable() const {
  const MutexLock lock(tablesMutex_);
  const auto last = std::find(indexUsed_.rbegin(), indexUsed_.rend(), true);
  return static_cast<std::int32_t>(indexUsed_.rend() - last);
}

std::vector<std::uint64_t> SessionTables::takeChanged() {
  const MutexLock lock(changedMutex_);
  return std::exchange(changed_, {});
}

void SessionTables::putBackChanged(const std::vector<std::uint64_t>& clusters) {
  const MutexLock lock(changedMutex_);
  changed_.insert(changed_.end(), clusters.begin(), clusters.end());
}

bool SessionTables::anyChanged() const {
  const MutexLock lock(changedMutex_);
  return !changed_.empty();
}

void encodeTable(const Table& table, const Clock& clock, TableEntries& entries) {
  const Cluster untouched;
  for (std::uint64_t i = 0; i < kClustersPerTable; ++i) {
    const Cluster* const cluster = table.find(i);
    entries[i] = encodeEntry(cluster != nullptr ? *cluster : untouched, clock);
  }
}

}  // namespace netcow
