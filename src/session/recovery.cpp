// SPDX-License-Identifier: Apache-2.0
#include "session/recovery.h"

#include <memory>
#include <vector>

#include "base/errors.h"
#include "session/session_tables.h"

namespace netcow {
namespace {

void check(const std::error_code& error, const std::string& what) {
  if (error) {
    throwErrno(error.value(), what);
  }
}

void syncOrMark(Folder& folder, File& file, const char* name) {
  if (const auto error = file.sync()) {
    static_cast<void>(markSyncFailed(folder));  // nothing better can be done when this fails too
    throwErrno(error.value(), "cannot sync " + folder.path() + "/" + name);
  }
}

/// Writes to `meta` what is newer in memory, and makes that durable; in the order of a
/// checkpoint, see checkpoint.h.
void writeBack(Folder& folder, LoadedSession& loaded, const Clock& clock) {
  const std::string where = "cannot write " + folder.path() + "/meta";
  TableFile meta(*loaded.meta, 0, layoutOf(loaded.header));
  const bool all = loaded.live == LiveState::dropped;
  syncOrMark(folder, *loaded.data, "data");
  auto entries = std::make_unique<TableEntries>();
  std::vector<TableIndex> indexes(loaded.map->tableCount(), TableIndex(kNoTable));
  bool newTables = false;
  for (std::uint64_t number = 0; number < indexes.size(); ++number) {
    Table* const table = loaded.map->table(number);
    if (table == nullptr) {
      continue;
    }
    // Whatever `live` does not hold stays as it is: by that an opener after a kill knows it again.
    if (all || loaded.fromLive[number]) {
      encodeTable(*table, clock, *entries);
      check(meta.writeTable(table->index, *entries), where);
    }
    indexes[number] = table->index;
    newTables = !table->inMeta.exchange(true) || newTables;
  }
  if (newTables) {
    syncOrMark(folder, *loaded.meta, "meta");
  }
  check(meta.writeL1(indexes), where);
  check(meta.writeHeader(loaded.header), where);
  syncOrMark(folder, *loaded.meta, "meta");
}

/// After a power cut content may have changed in place while `meta` still calls it uploaded, so
/// nothing local counts as clean.
std::uint64_t markAllDirty(const BlockMap& map, const Clock& clock) {
  std::uint64_t clusters = 0;
  map.forEachAllocated([&](std::uint64_t, Cluster& cluster) {
    if (cluster.loadBits().none()) {
      return;  // nothing of it was ever sent: a checkpoint covers what is
    }
    cluster.changedAt = clock.now().time_since_epoch().count();
    cluster.dirty = true;
    ++clusters;
  });
  return clusters;
}

}  // namespace

std::string recoverSession(Folder& folder, LoadedSession& loaded, const Clock& clock) {
  if (loaded.live == LiveState::absent) {
    return {};
  }
  std::string line;
  if (loaded.live == LiveState::trusted) {
    std::uint64_t clusters = 0;
    loaded.map->forEachAllocated([&clusters](std::uint64_t, const Cluster&) { ++clusters; });
    line = "recovered the session " + folder.path() +
           " of a killed process whole: " + std::to_string(clusters) + " local clusters";
  } else {
    const std::uint64_t clusters = markAllDirty(*loaded.map, clock);
    line = "took the session " + folder.path() + " back to its last checkpoint, because " +
           loaded.whyDropped + "; all its " + std::to_string(clusters) +
           " local clusters count as not uploaded";
  }
  // What is dropped stays dropped, whatever `meta` becomes before a second try.
  const bool dropped = loaded.live == LiveState::dropped;
  check(
      dropped ? markSyncFailed(folder) : markRecovering(folder, loaded.headerAsRead, loaded.header),
      "cannot write " + folder.path() + "/live");
  writeBack(folder, loaded, clock);
  check(folder.remove("live"), "cannot remove " + folder.path() + "/live");
  check(folder.sync(), "cannot sync the folder " + folder.path());
  return line;
}

}  // namespace netcow
