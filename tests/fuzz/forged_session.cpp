// SPDX-License-Identifier: Apache-2.0
#include "fuzz/forged_session.h"

#include <array>
#include <string>
#include <vector>

#include "format/session_files.h"
#include "session/live_file.h"
#include "session/session.h"
#include "support/fake_clock.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kMaxima[] = {3 * kTableSpan, kBlockSize, kDefaultMaxImageSize,
                                     kLargestImageSize};
/// Large ones take longer, so they are rare.
constexpr std::size_t kMaximumOf[] = {0, 0, 0, 0, 0, 0, 0, 1, 2, 3};
enum Ending : std::uint8_t { closed, killed, killedInRecovery, powerCut, endings };

constexpr auto kLongestFile = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

/// A sound session with local blocks in the first and the last cluster.
SimulatedDisk soundSession(std::uint64_t maxImageSize, Ending ending) {
  static SeededRandom random(1);
  SimulatedMachine machine(random);
  FakeClock clock;
  NewSession settings;
  settings.imageName = "image";
  settings.uploadUuid = "upload";
  settings.baseSize = maxImageSize;
  settings.maxImageSize = maxImageSize;
  auto session = Session::create(openSimulatedFolder(machine), settings, clock);
  const std::vector<std::byte> content(kBlockSize, std::byte{7});
  demand(!session->write(content, 0), "a write into a new session");
  demand(!session->checkpoint(), "a checkpoint of a new session");
  const std::uint64_t lastBlock = roundDown(maxImageSize - 1, kBlockSize);
  demand(!session->write(content, lastBlock), "a write at the end of a new session");
  demand(ending != closed || !session->close(), "the close of a new session");
  session.reset();
  machine.disk.killProcess();
  if (ending == killedInRecovery) {
    const auto folder = openSimulatedFolder(machine);
    std::unique_ptr<File> meta;
    MetaHeader header;
    demand(!folder->open("meta", meta) &&
               !meta->read(std::as_writable_bytes(std::span(&header, 1)), 0) &&
               !markRecovering(*folder, header, header),
           "a mark in live");
  } else if (ending == powerCut) {
    machine.disk.powerCut(random);
  }
  return machine.disk;
}

/// They are the same for every input, so each is made once.
const SimulatedDisk& cachedSession(std::size_t maximum, std::uint8_t ending) {
  static std::array<std::array<std::unique_ptr<SimulatedDisk>, endings>, std::size(kMaxima)> made;
  auto& disk = made[maximum][ending];
  if (disk == nullptr) {
    disk = std::make_unique<SimulatedDisk>(
        soundSession(kMaxima[maximum], static_cast<Ending>(ending)));
  }
  return *disk;
}

/// A field of a header: where it lies, and how long it is.
struct Field {
  std::uint64_t at;
  std::size_t bytes;
};
constexpr Field kMetaFields[] = {{offsetof(MetaHeader, magic), 8},
                                 {offsetof(MetaHeader, imageSize), 8},
                                 {offsetof(MetaHeader, version), 4},
                                 {offsetof(MetaHeader, blockSize), 4},
                                 {offsetof(MetaHeader, validRemoteSize), 8},
                                 {offsetof(MetaHeader, startL1), 4},
                                 {offsetof(MetaHeader, startL2), 4},
                                 {offsetof(MetaHeader, bitfieldSize), 4},
                                 {offsetof(MetaHeader, nextL2), 4},
                                 {offsetof(MetaHeader, metaSize), 8},
                                 {offsetof(MetaHeader, nextClusterOffset), 8},
                                 {offsetof(MetaHeader, maxImageSize), 8},
                                 {offsetof(MetaHeader, creationTime), 8}};

/// Changes the files of a session.
class Forger {
 public:
  Forger(FuzzInput& input, SimulatedMachine& machine, const MetaLayout& layout)
      : input_(input), machine_(machine), layout_(layout) {}

  void change() {
    switch (input_.byte() % 9) {
      case 0:
        nameTable();
        break;
      case 1:
        setEntry();
        break;
      case 2:
        setTableOfEntries();
        break;
      case 3:
        setMetaField();
        break;
      case 4:
        setLiveHeader();
        break;
      case 5:
        writeAnywhere();
        break;
      case 6:
        resize();
        break;
      case 7:
        moveTables();
        break;
      default:
        replaceFile();
    }
  }

 private:
  /// Where the changes of tables go: `meta`, or what `live` holds of it.
  struct Tables {
    SimulatedInode* file;
    std::uint64_t shift;
  };
  Tables tables() {
    const bool live = input_.byte() % 2 != 0;
    return {inode(live ? "live" : "meta"), live ? kLiveShift : 0};
  }
  SimulatedInode* inode(const std::string& name) {
    return machine_.disk.inode(machine_.disk.find(name));
  }
  SimulatedInode* anyFile() {
    constexpr std::array<const char*, 3> kNames = {"meta", "data", "live"};
    return inode(kNames[input_.byte() % kNames.size()]);
  }
  static void put(SimulatedInode* file, std::span<const std::byte> bytes, std::uint64_t offset) {
    if (file != nullptr && offset < kLongestFile - bytes.size()) {
      file->write(bytes, offset);
    }
  }
  template <class T>
  static void putValue(SimulatedInode* file, const T& value, std::uint64_t offset) {
    put(file, std::as_bytes(std::span(&value, 1)), offset);
  }
  [[nodiscard]] std::uint64_t entryPlace(std::uint64_t table, std::uint64_t entry) const {
    return layout_.startL2 + table * kTableBytes + entry * sizeof(ClusterEntry);
  }

  /// An entry of L1, and a fresh table where it points to.
  void nameTable() {
    const Tables to = tables();
    const std::uint64_t number = input_.number() % layout_.tables;
    const std::uint64_t index = input_.number();
    putValue(to.file, TableIndex(static_cast<std::int32_t>(index)),
             to.shift + layout_.startL1 + number * sizeof(TableIndex));
    if (index >= layout_.tables) {
      return;
    }
    ClusterEntry fresh;
    fresh.dataOffset = kNotAllocated;
    const std::vector<ClusterEntry> table(kClustersPerTable, fresh);
    put(to.file, std::as_bytes(std::span(table)), to.shift + entryPlace(index, 0));
    if (to.shift == 0) {
      putValue(to.file, LittleEndian<std::int32_t>(static_cast<std::int32_t>(index + 1)),
               offsetof(MetaHeader, nextL2));
    }
  }

  ClusterEntry anyEntry() {
    ClusterEntry entry;
    const std::uint8_t place = input_.byte();
    entry.dataOffset =
        static_cast<std::int64_t>(place < 192 ? place % 8 * kClusterSize : input_.number());
    entry.timeChanged = static_cast<std::int64_t>(input_.number());
    entry.uploads = static_cast<std::uint32_t>(input_.number());
    entry.fails = static_cast<std::uint32_t>(input_.number());
    const std::uint64_t first = input_.number() % kBlocksPerCluster;
    entry.bits.setRange(first, std::min(input_.number(), kBlocksPerCluster - first));
    return entry;
  }

  void setEntry() {
    const Tables to = tables();
    const std::uint64_t table = input_.number() % layout_.tables;
    const std::uint64_t entry = input_.number() % kClustersPerTable;
    putValue(to.file, anyEntry(), to.shift + entryPlace(table, entry));
  }

  /// A run of entries at rising offsets, and a `data` that is long enough for them.
  void setTableOfEntries() {
    const Tables to = tables();
    const std::uint64_t table = input_.number() % layout_.tables;
    const std::uint64_t first = input_.number() % kClustersPerTable;
    const std::uint64_t count = std::min(input_.number(), kClustersPerTable - first);
    ClusterEntry entry = anyEntry();
    for (std::uint64_t i = 0; i < count; ++i) {
      putValue(to.file, entry, to.shift + entryPlace(table, first + i));
      entry.dataOffset = static_cast<std::int64_t>(
          static_cast<std::uint64_t>(std::int64_t{entry.dataOffset}) + kClusterSize);
    }
    const auto end = static_cast<std::uint64_t>(std::int64_t{entry.dataOffset});
    SimulatedInode* const data = inode("data");
    if (data != nullptr && end < kLongestFile && end > data->size()) {
      data->resize(end);
    }
  }

  void setMetaField() {
    const Tables to = tables();
    const Field& field = kMetaFields[input_.byte() % std::size(kMetaFields)];
    const LittleEndian<std::uint64_t> value = input_.number();
    put(to.file, std::as_bytes(std::span(&value, 1)).first(field.bytes), to.shift + field.at);
  }

  void setLiveHeader() {
    const std::uint64_t at = input_.byte() % sizeof(LiveHeader);
    put(inode("live"), input_.take(input_.byte() % 64), at);
  }

  void writeAnywhere() {
    SimulatedInode* const file = anyFile();
    const std::uint64_t offset = input_.number();
    put(file, input_.take(input_.byte()), offset);
  }

  void resize() {
    if (SimulatedInode* const file = anyFile()) {
      file->resize(std::min(input_.number(), kLongestFile));
    }
  }

  /// Another place for L1 or L2 and another largest image, in both files alike.
  void moveTables() {
    const Field& field = kMetaFields[input_.byte() % std::size(kMetaFields)];
    const LittleEndian<std::uint64_t> value = input_.number();
    const auto bytes = std::as_bytes(std::span(&value, 1)).first(field.bytes);
    put(inode("meta"), bytes, field.at);
    put(inode("live"), bytes, kLiveShift + field.at);
  }

  void replaceFile() {
    constexpr std::array<const char*, 4> kNames = {"meta", "data", "live", "meta.new"};
    const std::string name = kNames[input_.byte() % kNames.size()];
    if (machine_.disk.find(name) != 0) {
      machine_.disk.remove(name);
    }
    if (input_.byte() % 2 != 0) {
      machine_.disk.create(name);
    }
  }

  FuzzInput& input_;
  SimulatedMachine& machine_;
  const MetaLayout layout_;
};

}  // namespace

namespace {

/// Makes `live` name `meta` as it is now: as if our own program had changed it.
void makeLiveFollowMeta(SimulatedMachine& machine) {
  const auto folder = openSimulatedFolder(machine);
  std::unique_ptr<File> meta;
  std::unique_ptr<File> live;
  MetaHeader header;
  std::uint64_t size = 0;
  if (folder->open("meta", meta) || folder->open("live", live) || meta->size(size) ||
      meta->read(std::as_writable_bytes(std::span(&header, 1)), 0) ||
      !whyUnusable(header, size).empty()) {
    return;
  }
  TableFile tables(*meta, 0, layoutOf(header));
  MetaSums sums;
  demand(!readMetaSums(tables, sums), "meta can be read");
  const std::vector<LittleEndian<std::uint64_t>> sumsOfTables(sums.tables.begin(),
                                                              sums.tables.end());
  const LittleEndian<std::uint64_t> digest = sums.total();
  demand(!live->write(std::as_bytes(std::span(sumsOfTables)), kLiveSums) &&
             !live->write(std::as_bytes(std::span(&digest, 1)), offsetof(LiveHeader, metaDigest)),
         "live can be written");
}

}  // namespace

void forgeSession(FuzzInput& input, SimulatedMachine& machine) {
  const std::size_t maximum = kMaximumOf[input.byte() % std::size(kMaximumOf)];
  const std::uint8_t ending = input.byte();
  machine.disk = cachedSession(maximum, ending % endings);
  Forger forger(input, machine, MetaLayout::forMaxImageSize(kMaxima[maximum]));
  while (!input.empty()) {
    forger.change();
  }
  if (ending / endings % 2 != 0) {
    makeLiveFollowMeta(machine);
  }
  machine.calls = machine.changes = 0;
}

}  // namespace netcow::test
