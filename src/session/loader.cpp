// SPDX-License-Identifier: Apache-2.0
#include "session/loader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/errors.h"
#include "session/soundness.h"
#include "session/table_file.h"

namespace netcow {
namespace {

/// Loads one session; the steps share what they found. A step returns false where nothing behind
/// it can be read.
class Loader {
 public:
  Loader(Folder& folder, LoadFor purpose, const Clock& clock, const FindingSink& found)
      : folder_(folder), purpose_(purpose), clock_(clock), found_(found) {}

  LoadedSession load() {
    if (openFiles() && readHeader() && checkData()) {
      readAllTables();
      // It is the smallest size the image ever had. More would show the base where the image grew.
      loaded_.header.validRemoteSize =
          std::min<std::uint64_t>(loaded_.header.validRemoteSize, loaded_.header.imageSize);
    }
    return std::move(loaded_);
  }

 private:
  void check(const std::error_code& error, const std::string& file) {
    if (error) {
      throwErrno(error.value(), "cannot read " + folder_.path() + "/" + file);
    }
  }

  bool openFile(const std::string& name, std::unique_ptr<File>& file) {
    const auto error =
        purpose_ == LoadFor::reading ? folder_.openReadOnly(name, file) : folder_.open(name, file);
    if (error.value() == ENOENT) {
      found_({FindingKind::missingFile, name, "is missing"});
      return false;
    }
    if (error) {
      throwErrno(error.value(), "cannot open " + folder_.path() + "/" + name);
    }
    return true;
  }

  bool openFiles() {
    if (!openFile("meta", loaded_.meta)) {
      return false;
    }
    if (purpose_ == LoadFor::use) {
      lockSession(folder_, *loaded_.meta);
    }
    return openFile("data", loaded_.data);
  }

  bool readHeader() {
    std::uint64_t size = 0;
    check(loaded_.meta->size(size), "meta");
    if (size < sizeof(MetaHeader)) {
      found_({FindingKind::header, "meta",
              "is truncated: " + std::to_string(size) + " bytes are no header"});
      return false;
    }
    check(loaded_.meta->read(std::as_writable_bytes(std::span(&loaded_.header, 1)), 0), "meta");
    bool usable = true;
    for (const HeaderProblem& problem : headerProblems(loaded_.header, size)) {
      found_({problem.counter ? FindingKind::counter : FindingKind::header, "meta", problem.text});
      usable = usable && problem.counter;
    }
    loaded_.headerAsRead = loaded_.header;
    layout_ = layoutOf(loaded_.header);
    return usable;
  }

  bool checkData() {
    LittleEndian<std::uint64_t> magic;
    check(loaded_.data->size(loaded_.dataBytes), "data");
    check(loaded_.data->read(std::as_writable_bytes(std::span(&magic, 1)), 0), "data");
    if (magic != kDataMagic) {
      found_({FindingKind::dataMagic, "data",
              magic == swapBytes(kDataMagic)
                  ? "was written on a machine with the other byte order (wrong endianness)"
                  : "does not begin with the magic number of a session's data"});
    }
    const std::int64_t next = loaded_.header.nextClusterOffset;
    if (next > 0 && static_cast<std::uint64_t>(next) > loaded_.dataBytes + kClusterSize) {
      found_({FindingKind::counter, "data",
              "is truncated: " + std::to_string(loaded_.dataBytes) + " bytes, clusters reach to " +
                  std::to_string(next)});
    }
    return true;
  }

  void readAllTables() {
    LiveFinding live = judgeLive(folder_, loaded_.header, *loaded_.meta, *loaded_.data);
    loaded_.live = live.state;
    loaded_.whyDropped = live.reason;
    loaded_.processId = live.processId;
    if (live.state == LiveState::refused) {
      found_({FindingKind::live, live.refusedFile, live.reason});
    }
    loaded_.map = std::make_unique<BlockMap>(layout_.tables);
    loaded_.fromLive.assign(layout_.tables, false);
    SoundnessRules rules(layout_, loaded_.dataBytes, found_);
    if (live.state == LiveState::trusted) {
      TableFile tables(*live.file, kLiveShift, layout_);
      readLiveHeader(tables);
      readTables(tables, "live", rules);
    }
    TableFile meta(*loaded_.meta, 0, layout_);
    readTables(meta, "meta", rules);
    rules.finish();
    // The header's counters may be older than the tables, and space that was handed out but never
    // got an entry is free again.
    loaded_.header.nextL2 = rules.nextTable();
    loaded_.header.nextClusterOffset = rules.nextClusterOffset();
    loaded_.places = rules.places();
  }

  void readLiveHeader(TableFile& tables) {
    MetaHeader newer;
    check(tables.readHeader(newer), "live");
    const MetaHeader& older = loaded_.header;
    if (!whyUnusable(newer, static_cast<std::uint64_t>(newer.metaSize)).empty() ||
        newer.creationTime != older.creationTime || newer.maxImageSize != older.maxImageSize ||
        newer.metaSize != older.metaSize || newer.startL1 != older.startL1 ||
        newer.startL2 != older.startL2) {
      found_({FindingKind::tablesDiffer, "live", "has a header that makes no sense"});
      return;
    }
    loaded_.header = newer;
  }

  /// Takes in the tables that are not there yet: call it for `live` first, then for `meta`.
  void readTables(TableFile& file, const std::string& name, SoundnessRules& rules) {
    std::vector<TableIndex> indexes;
    check(file.readL1(indexes), name);
    // While a session is open, the header's count may be older than L1.
    if (loaded_.live == LiveState::absent) {
      rules.headerCounters(loaded_.header, indexes);
    }
    for (std::uint64_t number = 0; number < indexes.size(); ++number) {
      const std::int32_t index = indexes[number];
      if (index == kNoTable) {
        continue;
      }
      if (Table* const known = loaded_.map->table(number)) {
        if (known->index != index) {
          found_({FindingKind::tablesDiffer, name,
                  "names another table than live for entry " + std::to_string(number)});
        }
        known->inMeta = true;
      } else if (rules.tableIndex(name, number, index)) {
        readTable(file, name, number, index, rules);
      }
    }
  }

  void readTable(TableFile& file, const std::string& name, std::uint64_t number, std::int32_t index,
                 SoundnessRules& rules) {
    check(file.readTable(index, entries_), name);
    auto table = std::make_unique<Table>(index);
    const bool inMeta = name == "meta";
    table->inMeta = inMeta;
    loaded_.fromLive[number] = !inMeta;
    bool zeroOffset = false;
    for (std::uint64_t i = 0; i < kClustersPerTable; ++i) {
      const std::uint64_t cluster = number * kClustersPerTable + i;
      zeroOffset = zeroOffset || entries_[i].dataOffset == 0;
      if (rules.entry(name, cluster, entries_[i]) && entries_[i].dataOffset > 0) {
        decodeEntry(entries_[i], clock_, table->obtain(i));
      }
    }
    if (inMeta && zeroOffset) {
      loaded_.zeroOffsets.push_back(number);
    }
    loaded_.map->put(number, std::move(table));
  }

  Folder& folder_;
  const LoadFor purpose_;
  const Clock& clock_;
  const FindingSink& found_;
  LoadedSession loaded_;
  MetaLayout layout_{};
  TableEntries entries_;
};

/// The line that refuses a session.
UserError refusal(const Folder& folder, const Finding& finding) {
  const std::string& path = folder.path();
  switch (finding.kind) {
    case FindingKind::missingFile:
      return UserError(path + " is no session: the file `" + finding.file +
                       "` is missing; name the folder that was given to -c");
    case FindingKind::live:  // says itself what to do
      return UserError(path + "/" + finding.file + " " + finding.what);
    default:
      return UserError(path + "/" + finding.file + " " + finding.what +
                       (finding.kindClass().repairable
                            ? "; `netcow check --repair " + path + "` mends it"
                            : "; restore the file from a backup or start a new session with -c; "
                              "`netcow check " +
                                  path + "` tells more"));
  }
}

}  // namespace

void lockSession(Folder& folder, File& meta) {
  const auto error = meta.lockExclusively();
  if (!error) {
    return;
  }
  if (error.value() != EWOULDBLOCK) {
    throwErrno(error.value(), "cannot lock " + folder.path() + "/meta");
  }
  std::string holder;
  std::unique_ptr<File> live;
  LiveHeader header;
  if (!folder.openReadOnly("live", live) &&
      !live->read(std::as_writable_bytes(std::span(&header, 1)), 0) && header.magic == kLiveMagic) {
    holder = " by process " + std::to_string(std::int64_t{header.processId});
  }
  throw UserError(
      "the session " + folder.path() + " is in use" + holder +
      "; unmount it first (umount -f if that process was killed and does not end), or name "
      "another folder");
}

LoadedSession loadSession(Folder& folder, LoadFor purpose, const Clock& clock) {
  return examineSession(folder, purpose, clock, [&folder](const Finding& finding) {
    if (finding.kindClass().unsound) {
      throw refusal(folder, finding);
    }
  });
}

LoadedSession examineSession(Folder& folder, LoadFor purpose, const Clock& clock,
                             const FindingSink& found) {
  return Loader(folder, purpose, clock, found).load();
}

LoadedSession loadWhileInUse(Folder& folder) {
  // A session that is in use changes while it is read, so what looks unsound may only be half a
  // change: look again before believing it.
  constexpr int kTries = 5;
  for (int i = 1;; ++i) {
    try {
      return loadSession(folder, LoadFor::reading, Clock::system());
    } catch (const UserError&) {
      std::unique_ptr<File> live;
      if (i == kTries || folder.openReadOnly("live", live)) {
        throw;
      }
    }
  }
}

}  // namespace netcow
