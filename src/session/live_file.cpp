// SPDX-License-Identifier: Apache-2.0
#include "session/live_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/errors.h"

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
    created->metaChanges_ = 1;
  }
  if (const auto error = created->tables_.writeHeader(meta)) {
    return error;
  }
  const std::vector<TableIndex> none(layout.tables, TableIndex(kNoTable));
  if (const auto error = created->tables_.writeL1(none)) {
    return error;
  }
  if (const auto error = created->endMetaChange(metaFile)) {
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
  live = std::move(created);
  return {};
}

std::error_code LiveFile::beginMetaChange() {
  const MutexLock lock(mutex_);
  ++metaChanges_;
  if (marked_) {
    return {};
  }
  header_.flags = header_.flags | LiveHeader::kMetaChanging;
  const auto error = writeLiveHeader();
  marked_ = !error;
  return error;
}

std::error_code LiveFile::endMetaChange(File& metaFile) {
  const MutexLock lock(mutex_);
  if (--metaChanges_ > 0) {
    return {};
  }
  File::Identity meta;
  if (const auto error = metaFile.identify(meta)) {
    return error;
  }
  header_.metaModified = meta.modifiedNanoseconds;
  header_.flags = header_.flags & ~LiveHeader::kMetaChanging;
  marked_ = false;
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

std::error_code addFlag(Folder& folder, std::uint32_t flag) {
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
  header.flags = header.flags | flag;
  return file->write(bytesOf(header), 0);
}

}  // namespace

std::error_code markRecovering(Folder& folder) {
  return addFlag(folder, LiveHeader::kMetaChanging);
}

std::error_code markSyncFailed(Folder& folder) {
  return addFlag(folder, LiveHeader::kSyncFailed);
}

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
  File::Identity metaIdentity;
  for (const auto& error :
       {file->read(bytesOf(header), 0), dataFile.identify(data), metaFile.identify(metaIdentity)}) {
    if (error) {
      throwErrno(error.value(), "cannot read " + folder.path() + "/live");
    }
  }
  finding.processId = header.processId;
  const auto drop = [&finding](const char* reason) {
    finding.state = LiveState::dropped;
    finding.reason = reason;
  };
  if (header.magic == kLiveMagic && header.version != 1) {
    throw UserError(folder.path() +
                    "/live was written by another version of netcow; open and close the session "
                    "with that version first");
  }
  if (header.magic != kLiveMagic) {
    drop("the machine went down when the session had just been opened");
  } else if (folder.bootId() != header.bootId) {
    drop("the machine went down while the session was open");
  } else if ((header.flags & LiveHeader::kSyncFailed) != 0) {
    drop("the disk failed to write back while the session was open");
  } else if (header.creationTime != meta.creationTime || header.dataDevice != data.device ||
             header.dataInode != data.inode || header.dataBirth != data.birthNanoseconds) {
    throw UserError(folder.path() +
                    "/live belongs to another session: its `data` is another file; put the files "
                    "back together, or remove `live` to go back to the last checkpoint");
  } else if ((header.flags & LiveHeader::kMetaChanging) == 0 &&
             header.metaModified != metaIdentity.modifiedNanoseconds) {
    throw UserError(folder.path() +
                    "/meta was changed by another program after netcow was killed; remove `live` "
                    "to keep that program's state, or put the old `meta` back to keep netcow's");
  } else {
    finding.state = LiveState::trusted;
    finding.file = std::move(file);
  }
  return finding;
}

}  // namespace netcow
