// SPDX-License-Identifier: Apache-2.0
#include "session/loader.h"

#include <cstring>
#include <limits>
#include <vector>

#include "base/errors.h"
#include "session/table_file.h"
#include "session/used_places.h"

namespace netcow {
namespace {

constexpr const char* kAdvice = "; restore the file from a backup or start a new session with -c";

/// Behind it the end of a cluster would no longer be an offset in a file.
constexpr std::uint64_t kLastClusterOffset =
    (std::numeric_limits<std::int64_t>::max() / kClusterSize - 1) * kClusterSize;

/// Loads one session; the steps share what they found.
class Loader {
 public:
  Loader(Folder& folder, LoadFor purpose, const Clock& clock)
      : folder_(folder), purpose_(purpose), clock_(clock) {}

  LoadedSession load() {
    openFiles();
    readHeader();
    checkData();
    const LiveFinding live = judgeLive(folder_, loaded_.header, *loaded_.meta, *loaded_.data);
    loaded_.live = live.state;
    loaded_.whyDropped = live.reason;
    const std::int32_t metaTables = loaded_.header.nextL2;
    loaded_.map = std::make_unique<BlockMap>(layout_.tables);
    indexUsed_.assign(layout_.tables, false);
    TableFile meta(*loaded_.meta, 0, layout_);
    if (live.state == LiveState::trusted) {
      TableFile tables(*live.file, kLiveShift, layout_);
      MetaHeader newer;
      check(tables.readHeader(newer), "live");
      if (!whyUnusable(newer, static_cast<std::uint64_t>(newer.metaSize)).empty()) {
        damaged("live", "has a header that makes no sense");
      }
      if (!sameLayout(newer, loaded_.header)) {
        damaged("live", "lays its tables out in another way than meta");
      }
      loaded_.header = newer;
      readTables(tables, "live", loaded_.header.nextL2);
    }
    readTables(meta, "meta", metaTables);
    recountSpace();
    return std::move(loaded_);
  }

 private:
  [[noreturn]] void damaged(const std::string& file, const std::string& why) {
    throw UserError(folder_.path() + "/" + file + " " + why + kAdvice);
  }

  void check(const std::error_code& error, const std::string& file) {
    if (error) {
      throwErrno(error.value(), "cannot read " + folder_.path() + "/" + file);
    }
  }

  std::unique_ptr<File> openFile(const std::string& name) {
    std::unique_ptr<File> file;
    const auto error =
        purpose_ == LoadFor::use ? folder_.open(name, file) : folder_.openReadOnly(name, file);
    if (error.value() == ENOENT) {
      throw UserError(folder_.path() + " is no session: the file `" + name +
                      "` is missing; name the folder that was given to -c");
    }
    if (error) {
      throwErrno(error.value(), "cannot open " + folder_.path() + "/" + name);
    }
    return file;
  }

  static bool sameLayout(const MetaHeader& one, const MetaHeader& other) {
    return one.startL1 == other.startL1 && one.startL2 == other.startL2 &&
           one.metaSize == other.metaSize && one.maxImageSize == other.maxImageSize;
  }

  void openFiles() {
    loaded_.meta = openFile("meta");
    if (purpose_ == LoadFor::use) {
      lockSession(folder_, *loaded_.meta);
    }
    loaded_.data = openFile("data");
  }

  void readHeader() {
    std::uint64_t size = 0;
    check(loaded_.meta->size(size), "meta");
    if (size < sizeof(MetaHeader)) {
      damaged("meta", "is truncated: " + std::to_string(size) + " bytes are no header");
    }
    check(loaded_.meta->read(std::as_writable_bytes(std::span(&loaded_.header, 1)), 0), "meta");
    const std::string why = whyUnusable(loaded_.header, size);
    if (!why.empty()) {
      damaged("meta", why);
    }
    layout_ = layoutOf(loaded_.header);
  }

  void checkData() {
    LittleEndian<std::uint64_t> magic;
    check(loaded_.data->size(loaded_.dataBytes), "data");
    check(loaded_.data->read(std::as_writable_bytes(std::span(&magic, 1)), 0), "data");
    if (magic == swapBytes(kDataMagic)) {
      damaged("data", "was written on a machine with the other byte order (wrong endianness)");
    }
    if (magic != kDataMagic) {
      damaged("data", "does not begin with the magic number of a session's data");
    }
    const auto next = static_cast<std::uint64_t>(loaded_.header.nextClusterOffset);
    if (next > loaded_.dataBytes + kClusterSize) {
      damaged("data", "is truncated: " + std::to_string(loaded_.dataBytes) +
                          " bytes, clusters reach to " + std::to_string(next));
    }
  }

  /// Takes in the tables that are not there yet: call it for `live` first, then for `meta`.
  void readTables(TableFile& file, const std::string& name, std::int32_t handedOut) {
    std::vector<TableIndex> indexes;
    check(file.readL1(indexes), name);
    auto entries = std::make_unique<TableEntries>();
    for (std::uint64_t number = 0; number < indexes.size(); ++number) {
      const std::int32_t index = indexes[number];
      if (index == kNoTable) {
        continue;
      }
      Table* const known = loaded_.map->table(number);
      if (known != nullptr) {
        if (known->index != index) {
          damaged(name, "names another table than live for entry " + std::to_string(number));
        }
        known->inMeta = true;
        continue;
      }
      checkTableIndex(index, handedOut, name, number);
      check(file.readTable(index, *entries), name);
      auto table = std::make_unique<Table>(index);
      table->inMeta = name == "meta";
      for (std::uint64_t i = 0; i < kClustersPerTable; ++i) {
        checkEntry((*entries)[i], name, number * kClustersPerTable + i);
        decodeEntry((*entries)[i], clock_, table->clusters[i]);
      }
      loaded_.map->put(number, std::move(table));
    }
  }

  void checkTableIndex(std::int32_t index, std::int32_t handedOut, const std::string& name,
                       std::uint64_t number) {
    const std::string entry = "L1 entry " + std::to_string(number);
    // While a session is open, the header's count may be older than L1.
    const bool countIsLimit = loaded_.live == LiveState::absent;
    if (index < 0 || static_cast<std::uint64_t>(index) >= layout_.tables ||
        (countIsLimit && index >= handedOut)) {
      damaged(name, "has an index out of range: " + entry + " is " + std::to_string(index));
    }
    if (indexUsed_[static_cast<std::size_t>(index)]) {
      damaged(name, "uses table " + std::to_string(index) + " twice: see " + entry);
    }
    indexUsed_[static_cast<std::size_t>(index)] = true;
  }

  void checkEntry(const ClusterEntry& entry, const std::string& name, std::uint64_t cluster) {
    const std::int64_t offset = entry.dataOffset;
    const std::string where = "cluster " + std::to_string(cluster);
    if (offset == kNotAllocated || offset == 0) {
      if (!entry.bits.none()) {
        damaged(name, "has local blocks without a place in data: " + where);
      }
      return;
    }
    const auto place = static_cast<std::uint64_t>(offset);
    if (offset < static_cast<std::int64_t>(kFirstClusterOffset) || place % kClusterSize != 0 ||
        place > loaded_.dataBytes || place > kLastClusterOffset) {
      damaged(name, "has an offset out of range: " + where + " lies at " + std::to_string(offset));
    }
    if (!usedPlaces_.take(place)) {
      damaged(name, "uses offset " + std::to_string(offset) + " of data twice: see " + where);
    }
    std::uint64_t last = kBlocksPerCluster;
    while (last > 0 && !entry.bits.test(last - 1)) {
      --last;
    }
    if (last > 0 && place + last * kBlockSize > loaded_.dataBytes) {
      damaged("data", "is truncated: local blocks of " + where + " lie behind its end");
    }
  }

  /// The counters of the header may be older than the tables, and space that was handed out but
  /// never got an entry is free again.
  void recountSpace() {
    std::int32_t tables = 0;
    for (std::uint64_t i = 0; i < indexUsed_.size(); ++i) {
      tables = indexUsed_[i] ? static_cast<std::int32_t>(i) + 1 : tables;
    }
    loaded_.header.nextL2 = tables;
    loaded_.header.nextClusterOffset = static_cast<std::int64_t>(usedPlaces_.end());
  }

  static void lockSession(Folder& folder, File& meta);

  Folder& folder_;
  const LoadFor purpose_;
  const Clock& clock_;
  LoadedSession loaded_;
  MetaLayout layout_{};
  std::vector<bool> indexUsed_;  ///< by table index
  UsedPlaces usedPlaces_;
};

void Loader::lockSession(Folder& folder, File& meta) {
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
  throw UserError("the session " + folder.path() + " is in use" + holder +
                  "; unmount it first, or name another folder");
}

}  // namespace

LoadedSession loadSession(Folder& folder, LoadFor purpose, const Clock& clock) {
  return Loader(folder, purpose, clock).load();
}

}  // namespace netcow
