// SPDX-License-Identifier: Apache-2.0
#include "session/discard.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "base/errors.h"
#include "base/whole_io.h"
#include "format/sent_file.h"
#include "format/session_files.h"
#include "session/loader.h"

namespace netcow {
namespace {

/// Everything that is ever kept in a session's folder but numbered copies; `meta.discarded`, which
/// says that the rest may go, is the last one.
constexpr const char* kFiles[] = {
    "live",        "live.new",        "data",      "meta.new",     "meta.unfinished-copy",
    "origin.json", "origin.json.new", "progress",  "progress.new", kSentFileName,
    "status",      "status.new",      "status.txt"};
constexpr const char* kCopies[] = {"meta.before-repair", "live.before-repair"};

void check(const std::error_code& error, const std::string& what) {
  if (error) {
    throwErrno(error.value(), what);
  }
}

[[noreturn]] void refuse(const Folder& folder) {
  throw UserError(folder.path() +
                  " is no session, so nothing in it is removed; name the folder that was given to "
                  "-c");
}

}  // namespace

SessionDiscard::SessionDiscard(std::unique_ptr<Folder> folder) : folder_(std::move(folder)) {
  openMeta();
  MetaHeader header;
  check(meta_->read(std::as_writable_bytes(std::span(&header, 1)), 0),
        "cannot read " + folder_->path() + "/meta");
  if (header.magic != kMetaMagic) {
    refuse(*folder_);
  }
  lockSession(*folder_, *meta_);
  uploadUuid_ = std::string(header.uuid, ::strnlen(header.uuid, sizeof header.uuid));
}

void SessionDiscard::openMeta() {
  if (const auto error = folder_->open("meta", meta_)) {
    if (error.value() != ENOENT) {
      throwErrno(error.value(), "cannot open " + folder_->path() + "/meta");
    }
    if (folder_->open(kDiscardedMeta, meta_)) {
      refuse(*folder_);
    }
    committed_ = true;
  }
}

void SessionDiscard::commit() {
  if (committed_) {
    return;
  }
  check(folder_->rename("meta", kDiscardedMeta), "cannot rename " + folder_->path() + "/meta");
  committed_ = true;
  check(folder_->sync(), "cannot sync the folder " + folder_->path());
}

void SessionDiscard::remove(const std::string& name, bool& existed) {
  const auto error = folder_->remove(name);
  existed = !error;
  if (error && error.value() != ENOENT) {
    throwErrno(error.value(), "cannot remove " + folder_->path() + "/" + name);
  }
}

void SessionDiscard::removeFiles() {
  bool existed = false;
  for (const char* name : kFiles) {
    remove(name, existed);
  }
  for (const std::string copy : kCopies) {
    remove(copy, existed);
    for (int i = 1; existed; ++i) {
      remove(copy + "." + std::to_string(i), existed);
    }
  }
  // While anything is left, the next try must know it for a session's.
  check(folder_->sync(), "cannot sync the folder " + folder_->path());
  remove(kDiscardedMeta, existed);
}

bool removeEmptyFolder(const std::string& directory) {
  if (::rmdir(directory.c_str()) == 0) {
    return true;
  }
  // Busy: it is a mountpoint.
  if (errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY) {
    throwErrno("cannot remove the folder " + directory);
  }
  return false;
}

bool discardSession(const std::string& directory) {
  SessionDiscard session(openFolder(directory));
  session.commit();
  session.removeFiles();
  return removeEmptyFolder(directory);
}

}  // namespace netcow
