// SPDX-License-Identifier: Apache-2.0
// How a session comes to be: made new, or opened.
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/errors.h"
#include "base/whole_io.h"
#include "format/sent_file.h"
#include "session/discard.h"
#include "session/recovery.h"
#include "session/session_parts.h"

namespace netcow {
namespace {

void check(const std::error_code& error, const std::string& what) {
  if (error.value() == ENOSPC || error.value() == EDQUOT) {
    throw UserError(what + ": " + error.message() + "; make room there and try again");
  }
  if (error) {
    throwErrno(error.value(), what);
  }
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

/// Refuses a folder that holds changes, else says that what it holds may be removed.
LoadedSession discardMeta(Folder& folder, const Clock& clock) {
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
    check(folder.rename("meta", kDiscardedMeta), "cannot rename " + folder.path() + "/meta");
    check(folder.sync(), "cannot sync the folder " + folder.path());
  } else if (!folder.open(kDiscardedMeta, old.meta)) {
    lockSession(folder, *old.meta);
  } else if (!folder.openReadOnly("data", file)) {
    std::uint64_t bytes = 0;
    check(file->size(bytes), "cannot read " + folder.path() + "/data");
    if (bytes > kFirstClusterOffset) {
      throw UserError("the folder " + folder.path() +
                      " holds the data of a session whose `meta` is missing; put `meta` back, or "
                      "name another folder");
    }
  }
  return old;
}

/// Removes what an earlier session left, if it holds nothing. The lock of that session is held in
/// what is returned, so that nobody opens it meanwhile.
LoadedSession clearFolder(Folder& folder, const Clock& clock) {
  LoadedSession old = discardMeta(folder, clock);
  for (const char* name :
       {"live", "data", "origin.json", kSentFileName, "meta.new", "live.new", kDiscardedMeta}) {
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

/// Makes a folder and those above it that are missing, so that a power cut takes none of them back.
void makeFolder(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<fs::path> changed;
  for (fs::path made = fs::absolute(directory); !fs::exists(made, error);
       made = made.parent_path()) {
    changed.push_back(made.parent_path());
  }
  fs::create_directories(directory, error);
  if (error) {
    throw UserError("cannot make the session's folder " + directory + ": " + error.message() +
                    "; make it by hand, or name another one");
  }
  for (const fs::path& folder : changed) {
    syncFolder(folder);
  }
}

}  // namespace

std::unique_ptr<Session> Session::create(const std::string& directory, const NewSession& settings,
                                         const Clock& clock) {
  makeFolder(directory);
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

namespace {

/// Other programs let `data` end behind the last local block. What becomes local in the rest of
/// that cluster may be a hole (zeros), which makes no file longer.
void completeLastCluster(const Folder& folder, LoadedSession& loaded) {
  const std::uint64_t last = loaded.places.empty() ? 0 : loaded.places.back();
  if (last != 0 && loaded.dataBytes < last + kClusterSize) {
    check(loaded.data->resize(last + kClusterSize), "cannot write " + folder.path() + "/data");
    loaded.dataBytes = last + kClusterSize;
  }
}

/// Other programs need not have synced what they wrote, and nothing is sent that could get lost.
void makeDurable(const Folder& folder, LoadedSession& loaded) {
  check(loaded.data->sync(), "cannot sync " + folder.path() + "/data");
  check(loaded.meta->sync(), "cannot sync " + folder.path() + "/meta");
}

}  // namespace

std::unique_ptr<Session> Session::open(std::unique_ptr<Folder> folder, const Clock& clock) {
  LoadedSession loaded = loadSession(*folder, LoadFor::use, clock);
  std::string line = recoverSession(*folder, loaded, clock);
  completeLastCluster(*folder, loaded);
  makeDurable(*folder, loaded);
  std::unique_ptr<LiveFile> live;
  check(LiveFile::create(*folder, loaded.header, *loaded.meta, *loaded.data, live),
        "cannot create " + folder->path() + "/live");
  return std::unique_ptr<Session>(new Session(std::make_unique<Parts>(
      std::move(folder), std::move(loaded), std::move(live), std::move(line), clock)));
}

}  // namespace netcow
