// SPDX-License-Identifier: Apache-2.0
#include "session/repair.h"

#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "session/recovery.h"
#include "session/table_file.h"

namespace netcow {
namespace {

constexpr const char* kUnfinishedCopy = "meta.unfinished-copy";

/// One repair; the caller holds the session's lock.
class Repairer {
 public:
  Repairer(Folder& folder, const Clock& clock, RepairReport& report)
      : folder_(folder), clock_(clock), report_(report) {}

  void run() {
    LoadedSession session = checkLockedSession(folder_, LoadFor::repair, clock_, report_.before);
    if (mayChange(session)) {
      const bool drops = session.live == LiveState::dropped;
      if (report_.before.has(FindingKind::notClosed)) {
        copyMeta(*session.meta);
        if (drops) {
          copyLive();
        }
        report_.done.push_back(recoverSession(folder_, session, clock_));
        CheckReport closed;
        session = checkLockedSession(folder_, LoadFor::repair, clock_, closed);
      }
      mendTables(session);
      if (!drops) {  // what only `live` named looks unused now
        giveBackSpace(session);
      }
      removeLeftovers();
    }
    checkLockedSession(folder_, LoadFor::repair, clock_, report_.after);
  }

 private:
  void check(const std::error_code& error, const char* doing, const std::string& name) {
    if (error) {
      throwErrno(error.value(), std::string("cannot ") + doing + " " + folder_.path() + "/" + name);
    }
  }

  /// Nothing is mended beside damage that only a backup can mend; a bad origin.json says nothing
  /// about the tables.
  bool mayChange(const LoadedSession& session) const {
    return session.map != nullptr && report_.before.hopeless() == 0 &&
           report_.before.repairable > 0;
  }

  void copyMeta(File& meta) {
    if (report_.copy.empty()) {
      report_.copy = keepCopy(meta, "meta");
    }
  }

  /// Of a `live` that holds anything: a person may know better than to drop it.
  void copyLive() {
    std::unique_ptr<File> live;
    std::uint64_t data = 0;
    check(folder_.openReadOnly("live", live), "open", "live");
    check(live->findData(0, data), "read", "live");
    if (data != File::kNowhere) {
      keepCopy(*live, "live");
    }
  }

  /// Copies a file to a name of its own, holes and all, and makes the copy durable. Returns the
  /// name.
  std::string keepCopy(File& file, const std::string& of) {
    static_cast<void>(folder_.remove(kUnfinishedCopy));
    std::unique_ptr<File> copy;
    check(folder_.create(kUnfinishedCopy, copy), "create", kUnfinishedCopy);
    copyContent(file, of, *copy);
    check(copy->sync(), "sync", kUnfinishedCopy);
    std::string name = of + ".before-repair";
    for (int i = 1; isTaken(name); ++i) {
      name = of + ".before-repair." + std::to_string(i);
    }
    check(folder_.rename(kUnfinishedCopy, name), "create", name);
    check(folder_.sync(), "sync the folder of", name);
    report_.done.push_back("kept a copy of the old `" + of + "` as " + name);
    return name;
  }

  bool isTaken(const std::string& name) {
    std::unique_ptr<File> file;
    const auto error = folder_.openReadOnly(name, file);
    if (error.value() == ENOENT) {
      return false;
    }
    check(error, "look at", name);
    return true;
  }

  void copyContent(File& from, const std::string& name, File& to) {
    std::uint64_t size = 0;
    check(from.size(size), "read", name);
    std::vector<std::byte> buffer(1U << 20U);
    for (std::uint64_t at = 0; at < size;) {
      std::uint64_t begin = 0;
      std::uint64_t end = 0;
      check(from.findData(at, begin), "read", name);
      if (begin >= size) {
        break;
      }
      check(from.findHole(begin, end), "read", name);
      end = std::min({std::max(end, begin + 1), size, begin + buffer.size()});
      const auto part = std::span(buffer).first(end - begin);
      check(from.read(part, begin), "read", name);
      check(to.write(part, begin), "write", kUnfinishedCopy);
      at = end;
    }
    check(to.resize(size), "write", kUnfinishedCopy);
  }

  void mendTables(LoadedSession& session) {
    const MetaHeader& was = session.headerAsRead;
    const bool countersWrong =
        was.nextL2 < session.header.nextL2 ||
        was.nextClusterOffset < session.header.nextClusterOffset ||
        !headerProblems(was, static_cast<std::uint64_t>(was.metaSize)).empty() ||
        static_cast<std::uint64_t>(was.nextClusterOffset) > session.dataBytes + kClusterSize;
    if (!countersWrong && session.zeroOffsets.empty()) {
      return;
    }
    copyMeta(*session.meta);
    TableFile meta(*session.meta, 0, layoutOf(was));
    for (const std::uint64_t number : session.zeroOffsets) {
      mendZeroOffsets(meta, number, session.map->table(number)->index);
    }
    if (countersWrong) {
      MetaHeader header = was;
      header.nextL2 = session.header.nextL2;
      header.nextClusterOffset = session.header.nextClusterOffset;
      check(meta.writeHeader(header), "write", "meta");
      report_.done.push_back("counted anew: tables in use: " + std::to_string(header.nextL2) +
                             ", the next cluster goes to " +
                             std::to_string(header.nextClusterOffset) + " of data");
    }
    check(session.meta->sync(), "sync", "meta");
  }

  void mendZeroOffsets(TableFile& meta, std::uint64_t number, std::int32_t index) {
    auto entries = std::make_unique<TableEntries>();
    check(meta.readTable(index, *entries), "read", "meta");
    std::uint64_t mended = 0;
    for (std::uint64_t i = 0; i < kClustersPerTable; ++i) {
      ClusterEntry entry = (*entries)[i];
      if (entry.dataOffset == 0) {
        entry.dataOffset = kNotAllocated;
        check(meta.writeEntry(index, i, entry), "write", "meta");
        ++mended;
      }
    }
    report_.done.push_back("set " + std::to_string(mended) +
                           " offsets of 0 to -1 in the table of L1 entry " +
                           std::to_string(number));
  }

  void giveBackSpace(LoadedSession& session) {
    std::uint64_t bytes = 0;
    for (const LeakedRange& leak : leakedRanges(folder_, session)) {
      // To the end of the last block: a part of one cannot be given back.
      const std::uint64_t length = roundUp(leak.length, kBlockSize);
      check(session.data->punch(leak.offset, length), "give back space of", "data");
      bytes += leak.bytes;
    }
    if (bytes > 0) {
      check(session.data->sync(), "sync", "data");
      report_.done.push_back("gave back " + std::to_string(bytes) +
                             " bytes of data that no cluster uses");
    }
  }

  void removeLeftovers() {
    const std::vector<std::string> names = leftoverFiles(folder_);
    for (const std::string& name : names) {
      check(folder_.remove(name), "remove", name);
      report_.done.push_back("removed " + name);
    }
    if (!names.empty()) {
      check(folder_.sync(), "sync the folder of", names.front());
    }
  }

  Folder& folder_;
  const Clock& clock_;
  RepairReport& report_;
};

}  // namespace

RepairReport repairSession(Folder& folder, const Clock& clock) {
  RepairReport report;
  std::unique_ptr<File> meta;
  const auto error = folder.open("meta", meta);
  if (error && error.value() != ENOENT) {
    throwErrno(error.value(), "cannot open " + folder.path() + "/meta");
  }
  if (!error) {
    lockSession(folder, *meta);
  }
  Repairer(folder, clock, report).run();
  return report;
}

}  // namespace netcow
