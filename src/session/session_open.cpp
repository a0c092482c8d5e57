// SPDX-License-Identifier: Apache-2.0
// How a session comes to be: made new, opened, recovered.
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/errors.h"
#include "session/session_parts.h"

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

/// Writes every table to `meta` as it is in memory, and makes that durable; in the order of a
/// checkpoint, see checkpoint.h.
void writeBack(Folder& folder, LoadedSession& loaded, const Clock& clock) {
  const std::string where = "cannot write " + folder.path() + "/meta";
  TableFile meta(*loaded.meta, 0, layoutOf(loaded.header));
  syncOrMark(folder, *loaded.data, "data");
  auto entries = std::make_unique<TableEntries>();
  std::vector<TableIndex> indexes(loaded.map->tableCount(), TableIndex(kNoTable));
  bool newTables = false;
  for (std::uint64_t number = 0; number < indexes.size(); ++number) {
    Table* const table = loaded.map->table(number);
    if (table == nullptr) {
      continue;
    }
    encodeTable(*table, clock, *entries);
    check(meta.writeTable(table->index, *entries), where);
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

/// Returns the line that says what was done; empty after a clean close.
std::string recover(Folder& folder, LoadedSession& loaded, const Clock& clock) {
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
  check(markRecovering(folder), "cannot write " + folder.path() + "/live");
  writeBack(folder, loaded, clock);
  check(folder.remove("live"), "cannot remove " + folder.path() + "/live");
  check(folder.sync(), "cannot sync the folder " + folder.path());
  return line;
}

MetaHeader newHeader(const NewSession& settings, const MetaLayout& layout, const Clock& clock) {
  MetaHeader header;
  header.magic = kMetaMagic;
  header.imageSize = settings.baseSize;
  header.version = kSessionVersion;
  header.blockSize = static_cast<std::int32_t>(kBlockSize);
  header.validRemoteSize = settings.baseSize;
  header.startL1 = layout.startL1;
  header.startL2 = layout.startL2;
  header.bitfieldSize = kBitfieldSize;
  header.nextL2 = 0;
  header.metaSize = static_cast<std::int64_t>(layout.metaSize);
  header.nextClusterOffset = static_cast<std::int64_t>(kFirstClusterOffset);
  header.maxImageSize = settings.maxImageSize;
  header.creationTime = static_cast<std::uint64_t>(clock.unixSeconds());
  setText(header.uuid, settings.uploadUuid);
  setText(header.imageName, settings.imageName);
  return header;
}

void checkSettings(const NewSession& settings) {
  if (settings.uploadUuid.size() > kUploadUuidLength) {
    throw UserError("the upload uuid `" + settings.uploadUuid +
                    "` is longer than 36 characters; check --upload-uuid");
  }
  if (settings.imageName.size() >= sizeof(MetaHeader::imageName)) {
    throw UserError("the image name `" + settings.imageName + "` is longer than 199 characters");
  }
  if (settings.baseSize > settings.maxImageSize || settings.maxImageSize > kLargestImageSize) {
    throw UserError("an image of " + std::to_string(settings.baseSize) +
                    " bytes is larger than a session may hold");
  }
}

/// Removes what an earlier session left, if it holds nothing; `meta` first, so that a process
/// killed on the way leaves no half of a session. The lock of that session is held in what is
/// returned, so that nobody opens it meanwhile.
LoadedSession clearFolder(Folder& folder, const Clock& clock) {
  LoadedSession old;
  std::unique_ptr<File> file;
  if (!folder.openReadOnly("meta", file)) {
    old = loadSession(folder, LoadFor::use, clock);
    bool holdsBlocks = false;
    old.map->forEachAllocated([&holdsBlocks](std::uint64_t, const Cluster& cluster) {
      holdsBlocks = holdsBlocks || !cluster.loadBits().none();
    });
    if (holdsBlocks) {
      throw UserError("the folder " + folder.path() +
                      " holds a session with changes; go on with it by -L, or name another folder");
    }
  } else if (!folder.openReadOnly("data", file)) {
    std::uint64_t bytes = 0;
    check(file->size(bytes), "cannot read " + folder.path() + "/data");
    if (bytes > kFirstClusterOffset) {
      throw UserError("the folder " + folder.path() +
                      " holds the data of a session whose `meta` is missing; put `meta` back, or "
                      "name another folder");
    }
  }
  for (const char* name : {"meta", "live", "data", "origin.json", "meta.new"}) {
    const auto error = folder.remove(name);
    if (error && error.value() != ENOENT) {
      throwErrno(error.value(), "cannot remove " + folder.path() + "/" + name);
    }
  }
  return old;
}

/// The name `meta` appears last and whole: a process killed before leaves no session.
void writeEmptySession(Folder& folder, const MetaHeader& header, const MetaLayout& layout) {
  std::unique_ptr<File> data;
  check(folder.create("data", data), "cannot create " + folder.path() + "/data");
  const LittleEndian<std::uint64_t> magic = kDataMagic;
  check(data->write(std::as_bytes(std::span(&magic, 1)), 0),
        "cannot write " + folder.path() + "/data");
  check(data->sync(), "cannot sync " + folder.path() + "/data");

  const std::string metaPath = folder.path() + "/meta";
  std::unique_ptr<File> meta;
  check(folder.create("meta.new", meta), "cannot create " + metaPath);
  TableFile tables(*meta, 0, layout);
  check(meta->resize(layout.metaSize), "cannot write " + metaPath);
  const std::vector<TableIndex> none(layout.tables, TableIndex(kNoTable));
  check(tables.writeL1(none), "cannot write " + metaPath);
  check(tables.writeHeader(header), "cannot write " + metaPath);
  check(meta->sync(), "cannot sync " + metaPath);
  check(folder.rename("meta.new", "meta"), "cannot create " + metaPath);
  check(folder.sync(), "cannot sync the folder " + folder.path());
}

}  // namespace

std::unique_ptr<Session> Session::create(const std::string& directory, const NewSession& settings,
                                         const Clock& clock) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    throwErrno(error.value(), "cannot make the session's folder " + directory);
  }
  return create(openFolder(directory), settings, clock);
}

std::unique_ptr<Session> Session::create(std::unique_ptr<Folder> folder, const NewSession& settings,
                                         const Clock& clock) {
  checkSettings(settings);
  const LoadedSession old = clearFolder(*folder, clock);
  const MetaLayout layout = MetaLayout::forMaxImageSize(settings.maxImageSize);
  writeEmptySession(*folder, newHeader(settings, layout, clock), layout);
  return open(std::move(folder), clock);
}

std::unique_ptr<Session> Session::open(const std::string& directory, const Clock& clock) {
  struct stat status{};
  if (::stat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    throw UserError(directory +
                    " is no session: there is no such folder; name the one that was "
                    "given to -c");
  }
  return open(openFolder(directory), clock);
}

std::unique_ptr<Session> Session::open(std::unique_ptr<Folder> folder, const Clock& clock) {
  LoadedSession loaded = loadSession(*folder, LoadFor::use, clock);
  std::string line = recover(*folder, loaded, clock);
  std::unique_ptr<LiveFile> live;
  check(LiveFile::create(*folder, loaded.header, *loaded.meta, *loaded.data, live),
        "cannot create " + folder->path() + "/live");
  return std::unique_ptr<Session>(new Session(std::make_unique<Parts>(
      std::move(folder), std::move(loaded), std::move(live), std::move(line), clock)));
}

}  // namespace netcow
