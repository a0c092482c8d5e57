// SPDX-License-Identifier: Apache-2.0
#include "session/live_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/errors.h"
#include "session/live_fit.h"

namespace netcow {
namespace {

constexpr const char* kUnfinishedLive = "live.new";

template <class T>
std::span<std::byte> bytesOf(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

template <std::size_t N>
void copyText(char (&to)[N], const std::string& text) {
  const std::size_t length = std::min(text.size(), N - 1);
  std::memcpy(to, text.data(), length);
}

}  // namespace

LiveFile::LiveFile(std::unique_ptr<File> file, const MetaLayout& layout)
    : file_(std::move(file)), tables_(*file_, kLiveShift, layout) {}

std::error_code LiveFile::create(Folder& folder, const MetaHeader& meta, File& metaFile,
                                 File& dataFile, std::unique_ptr<LiveFile>& live) {
  const auto removed = folder.remove(kUnfinishedLive);  // of a process killed right here
  if (removed && removed.value() != ENOENT) {
    return removed;
  }
  std::unique_ptr<File> file;
  if (const auto error = folder.create(kUnfinishedLive, file)) {
    return error;
  }
  const auto error = write(std::move(file), folder, meta, metaFile, dataFile, live);
  if (error) {
    static_cast<void>(folder.remove(kUnfinishedLive));
    // It would look like a killed process to the next opener.
    static_cast<void>(folder.remove("live"));
  }
  return error;
}

std::error_code LiveFile::write(std::unique_ptr<File> file, Folder& folder, const MetaHeader& meta,
                                File& metaFile, File& dataFile, std::unique_ptr<LiveFile>& live) {
  const MetaLayout layout = layoutOf(meta);
  std::unique_ptr<LiveFile> created(new LiveFile(std::move(file), layout));
  File::Identity data;
  if (const auto error = dataFile.identify(data)) {
    return error;
  }
  {
    const MutexLock lock(created->mutex_);
    copyText(created->header_.bootId, folder.bootId());
    created->header_.creationTime = meta.creationTime;
    created->header_.dataDevice = data.device;
    created->header_.dataInode = data.inode;
    created->header_.dataBirth = data.birthNanoseconds;
    created->header_.processId = ::getpid();
  }
  TableFile metaTables(metaFile, 0, layout);
  if (const auto error = readMetaSums(metaTables, created->metaAtStart_)) {
    return error;
  }
  std::vector<TableIndex> indexes;
  if (const auto error = metaTables.readL1(indexes)) {
    return error;
  }
  if (const auto error = created->writeSums()) {
    return error;
  }
  if (const auto error = created->tables_.writeHeader(meta)) {
    return error;
  }
  const std::vector<TableIndex> none(layout.tables, TableIndex(kNoTable));
  if (const auto error = created->tables_.writeL1(none)) {
    return error;
  }
  // Writes the header, which comes last: without it `live` is no `live`.
  if (const auto error = created->endMetaChange(created->metaAtStart_.total())) {
    return error;
  }
  // Half a `live` would look like what a power cut leaves, and everything uploaded would count as
  // not uploaded. So the name appears last.
  if (const auto error = folder.rename(kUnfinishedLive, "live")) {
    return error;
  }
  if (const auto error = folder.sync()) {
    return error;
  }
  // Last: on a full disk a session still opens, to be read and uploaded.
  created->reserveTables(indexes);
  live = std::move(created);
  return {};
}

void LiveFile::reserveTables(const std::vector<TableIndex>& indexes) {
  for (const TableIndex& index : indexes) {
    if (index != kNoTable && tables_.reserveTable(index)) {
      return;  // no room, or a file system that cannot
    }
  }
}

std::error_code LiveFile::writeSums() {
  std::vector<LittleEndian<std::uint64_t>> sums(metaAtStart_.tables.begin(),
                                                metaAtStart_.tables.end());
  return file_->write(std::as_bytes(std::span(sums)), kLiveSums);
}

std::error_code LiveFile::beginMetaChange(const MetaHeader& before, const MetaHeader& after) {
  const MutexLock lock(mutex_);
  header_.flags = header_.flags | LiveHeader::kMetaChanging;
  header_.headerBefore = sumOfHeader(before);
  header_.headerAfter = sumOfHeader(after);
  return writeLiveHeader();
}

std::error_code LiveFile::endMetaChange(std::uint64_t digest) {
  const MutexLock lock(mutex_);
  header_.metaDigest = digest;
  header_.flags = header_.flags & ~LiveHeader::kMetaChanging;
  return writeLiveHeader();
}

std::error_code LiveFile::markSyncFailed() {
  const MutexLock lock(mutex_);
  header_.flags = header_.flags | LiveHeader::kSyncFailed;
  return writeLiveHeader();
}

std::error_code LiveFile::writeLiveHeader() {
  return file_->write(bytesOf(header_), 0);
}

namespace {

template <class Change>
std::error_code changeHeader(Folder& folder, Change change) {
  std::unique_ptr<File> file;
  LiveHeader header;
  if (const auto error = folder.open("live", file)) {
    return error;
  }
  if (const auto error = file->read(bytesOf(header), 0)) {
    return error;
  }
  if (header.magic != kLiveMagic) {
    return {};
  }
  change(header);
  return file->write(bytesOf(header), 0);
}

}  // namespace

std::error_code markRecovering(Folder& folder, const MetaHeader& before, const MetaHeader& after) {
  return changeHeader(folder, [&](LiveHeader& header) {
    header.flags = header.flags | LiveHeader::kMetaChanging;
    header.headerBefore = sumOfHeader(before);
    header.headerAfter = sumOfHeader(after);
  });
}

std::error_code markSyncFailed(Folder& folder) {
  return changeHeader(
      folder, [](LiveHeader& header) { header.flags = header.flags | LiveHeader::kSyncFailed; });
}

namespace {

void checkRead(const std::error_code& error, const Folder& folder, const char* name) {
  if (error) {
    throwErrno(error.value(), "cannot read " + folder.path() + "/" + name);
  }
}

/// Whether `meta` is what this `live` follows, as far as can be told.
bool followsMeta(Folder& folder, const LiveHeader& header, File& live, TableFile& meta,
                 const MetaLayout& layout) {
  MetaSums now;
  checkRead(readMetaSums(meta, now), folder, "meta");
  if ((header.flags & LiveHeader::kMetaChanging) == 0) {
    return header.metaDigest == now.total();
  }
  if (now.header != header.headerBefore && now.header != header.headerAfter) {
    return false;
  }
  std::vector<TableIndex> held;
  checkRead(TableFile(live, kLiveShift, layout).readL1(held), folder, "live");
  std::vector<LittleEndian<std::uint64_t>> before(now.tables.size());
  checkRead(live.read(std::as_writable_bytes(std::span(before)), kLiveSums), folder, "live");
  for (std::size_t number = 0; number < now.tables.size(); ++number) {
    if (held[number] == kNoTable && before[number] != now.tables[number]) {
      return false;
    }
  }
  return true;
}

}  // namespace

LiveFinding judgeLive(Folder& folder, const MetaHeader& meta, File& metaFile, File& dataFile) {
  LiveFinding finding;
  std::unique_ptr<File> file;
  if (const auto error = folder.openReadOnly("live", file)) {
    if (error.value() == ENOENT) {
      return finding;
    }
    throwErrno(error.value(), "cannot open " + folder.path() + "/live");
  }
  LiveHeader header;
  File::Identity data;
  checkRead(file->read(bytesOf(header), 0), folder, "live");
  checkRead(dataFile.identify(data), folder, "data");
  finding.processId = header.processId;
  const auto drop = [&finding](const char* reason) {
    finding.state = LiveState::dropped;
    finding.reason = reason;
  };
  const auto refuse = [&finding](const char* refusedFile, const std::string& reason) {
    finding.state = LiveState::refused;
    finding.refusedFile = refusedFile;
    finding.reason = reason;
  };
  const std::string emptyIt = "empty `live` (truncate -s 0 " + folder.path() + "/live)";
  const std::string bootId(header.bootId, ::strnlen(header.bootId, sizeof header.bootId));
  const MetaLayout layout = layoutOf(meta);
  TableFile metaTables(metaFile, 0, layout);
  const bool changing = (header.flags & LiveHeader::kMetaChanging) != 0;
  LiveFit fit = LiveFit::newer;
  const auto compare = [&] {
    TableFile tables(*file, kLiveShift, layout);
    checkRead(compareWithMeta(tables, metaTables, fit), folder, "live");
    return fit;
  };
  if (header.magic != kLiveMagic) {
    drop("its file `live` holds nothing");
  } else if (folder.bootId() != bootId) {
    drop("the machine went down while the session was open");
  } else if (header.version != kLiveVersion) {
    refuse("live",
           "was written by another version of netcow; open and close the session with that "
           "version first");
  } else if ((header.flags & LiveHeader::kSyncFailed) != 0) {
    drop("the disk failed to write back while the session was open");
  } else if (header.creationTime != meta.creationTime || header.dataDevice != data.device ||
             header.dataInode != data.inode || header.dataBirth != data.birthNanoseconds) {
    refuse("live",
           "belongs to another session: its `data` is another file; put the files back "
           "together, or " +
               emptyIt + " to go back to the last checkpoint");
  } else if (compare() == LiveFit::torn) {
    drop("the disk lost a part of `live`");
  } else if (!followsMeta(folder, header, *file, metaTables, layout)) {
    refuse("meta",
           "was changed by another program after netcow was killed; put the old `meta` back to "
           "keep netcow's state, or " +
               emptyIt + " to keep that program's");
  } else if (fit == LiveFit::older && !changing) {
    // `meta` is surely our own.
    drop("the disk lost the newest part of `live`");
  } else if (fit != LiveFit::newer) {
    refuse("live",
           "does not fit `meta`: the disk lost its newest part, or another program changed `meta` "
           "after netcow was killed; put the files back that belong together, or " +
               emptyIt + " to go on with `meta`");
  } else {
    finding.state = LiveState::trusted;
    finding.file = std::move(file);
  }
  return finding;
}

}  // namespace netcow
