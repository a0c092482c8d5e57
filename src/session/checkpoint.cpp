// SPDX-License-Identifier: Apache-2.0
#include "session/checkpoint.h"

#include <cerrno>
#include <set>

#include "base/errors.h"

namespace netcow {

Checkpointer::Checkpointer(BlockMap& map, SessionTables& tables, HeaderState& header,
                           DataFile& data, File& meta, LiveFile& live, const MetaLayout& layout,
                           const Clock& clock)
    : map_(map),
      tables_(tables),
      header_(header),
      data_(data),
      meta_(meta),
      live_(live),
      metaTables_(meta, 0, layout),
      clock_(clock),
      digest_(live.metaAtStart()) {}

bool Checkpointer::needed() const {
  return data_.unsynced() || header_.changed() || tables_.anyChanged();
}

std::error_code Checkpointer::run() {
  // The next one to begin is the first that surely covers what was acknowledged before the call.
  const std::uint64_t wanted = begun_.load() + 1;
  const MutexLock lock(mutex_);
  if (ended_ >= wanted) {
    return lastResult_;
  }
  const std::uint64_t mine = ++begun_;
  lastResult_ = runLocked();
  ended_ = mine;
  return lastResult_;
}

std::error_code Checkpointer::runLocked() {
  if (failedForGood_) {
    return errnoCode(EIO);
  }
  if (!needed()) {
    return {};
  }
  const std::vector<std::uint64_t> clusters = tables_.takeChanged();
  const std::vector<Change> changes = collect(clusters);
  const bool headerChanged = header_.takeChanged();
  const MetaHeader header = header_.encode(tables_.nextTable(), data_.nextOffset());
  if (data_.unsynced() && data_.sync()) {
    return syncFailed();
  }
  if (changes.empty() && !headerChanged) {
    return {};
  }
  bool syncHasFailed = false;
  // Read, as a checkpoint that failed may have written one or not.
  MetaHeader before;
  auto error = metaTables_.readHeader(before);
  if (!error) {
    error = live_.beginMetaChange(before, header);
  }
  if (!error) {
    error = writeMeta(changes, header, syncHasFailed);
  }
  if (syncHasFailed) {
    return syncFailed();
  }
  if (!error) {
    error = live_.endMetaChange(digest_.value());
  }
  if (error) {
    // Nothing was promised yet: the next checkpoint writes it all again.
    putBack(clusters);
    return error;
  }
  header_.confirmDurable();
  return {};
}

std::vector<Checkpointer::Change> Checkpointer::collect(
    const std::vector<std::uint64_t>& clusters) {
  std::vector<Change> changes;
  changes.reserve(clusters.size());
  for (const std::uint64_t number : clusters) {
    Cluster& cluster = *map_.find(number);
    const MutexLock stripe(map_.stripe(number));
    cluster.needsCheckpoint = false;
    changes.push_back({number, encodeEntry(cluster, clock_)});
  }
  return changes;
}

std::error_code Checkpointer::writeMeta(const std::vector<Change>& changes,
                                        const MetaHeader& header, bool& syncHasFailed) {
  std::set<std::uint64_t> newTables;
  for (const Change& change : changes) {
    const std::uint64_t number = change.cluster / kClustersPerTable;
    const Table& table = *map_.table(number);
    const std::uint64_t within = change.cluster % kClustersPerTable;
    if (const auto error =
            digest_.writesEntry(metaTables_, number, table.index, within, change.entry)) {
      return error;
    }
    if (const auto error = metaTables_.writeEntry(table.index, within, change.entry)) {
      return error;
    }
    if (!table.inMeta) {
      newTables.insert(number);
    }
  }
  // L1 may point to a table only when all its pages are on the disk: where they were used before,
  // for a table that a power cut took back, old entries would come to life.
  if (!newTables.empty() && meta_.sync()) {
    syncHasFailed = true;
    return {};
  }
  for (const std::uint64_t number : newTables) {
    Table& table = *map_.table(number);
    digest_.writesL1Entry(number, table.index);
    if (const auto error = metaTables_.writeL1Entry(number, table.index)) {
      return error;
    }
    table.inMeta = true;
  }
  digest_.writesHeader(header);
  if (const auto error = metaTables_.writeHeader(header)) {
    return error;
  }
  syncHasFailed = static_cast<bool>(meta_.sync());
  return {};
}

std::error_code Checkpointer::syncFailed() {
  failedForGood_ = true;
  static_cast<void>(live_.markSyncFailed());  // nothing better can be done when this fails too
  return errnoCode(EIO);
}

void Checkpointer::putBack(const std::vector<std::uint64_t>& clusters) {
  std::vector<std::uint64_t> missing;
  for (const std::uint64_t number : clusters) {
    const MutexLock stripe(map_.stripe(number));
    Cluster& cluster = *map_.find(number);
    if (!cluster.needsCheckpoint) {
      cluster.needsCheckpoint = true;
      missing.push_back(number);
    }
  }
  tables_.putBackChanged(missing);
  header_.markChanged();
}

}  // namespace netcow
