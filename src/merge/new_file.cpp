// SPDX-License-Identifier: Apache-2.0
#include "merge/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/errors.h"
#include "base/whole_io.h"

namespace netcow {
namespace {

std::string folderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

bool exists(const std::string& path) {
  struct stat ignored = {};
  return ::lstat(path.c_str(), &ignored) == 0;
}

/// Renames a file unless `to` is taken. errno is EEXIST if it is.
bool renameWithoutReplacing(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
    return true;
  }
  if (errno != EINVAL && errno != ENOSYS) {
    return false;
  }
  // NFS and old kernels have no such rename, but a link never replaces either.
  if (::link(from.c_str(), to.c_str()) != 0) {
    return false;
  }
  ::unlink(from.c_str());
  return true;
}

}  // namespace

NewFile::NewFile(std::string path, Kind kind) : path_(std::move(path)), folder_(folderOf(path_)) {
  if (exists(path_)) {
    throwErrno(EEXIST, "cannot create " + path_);
  }
  if (kind == Kind::unnamed) {
    openUnnamed();
  }
  if (!fd_) {
    openHidden();
  }
}

NewFile::~NewFile() {
  if (!hiddenName_.empty()) {
    ::unlink(hiddenName_.c_str());
  }
}

void NewFile::openUnnamed() {
  // Whatever keeps this from working, openHidden() meets it again if it is serious.
  fd_.reset(::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR));
}

void NewFile::openHidden() {
  std::string name = folder_ + "/.netcow-new-XXXXXX";
  fd_.reset(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd_) {
    throwErrno("cannot create a file in " + folder_);
  }
  hiddenName_ = name;
}

void NewFile::sync() const {
  if (::fsync(fd_.get()) != 0) {
    throwErrno("cannot sync " + path_);
  }
}

void NewFile::publish(mode_t permissions) {
  if (::fchmod(fd_.get(), permissions) != 0) {
    throwErrno("cannot set the permissions of " + path_);
  }
  sync();
  giveName();
  try {
    syncFolder(folder_);
  } catch (const std::system_error&) {
    // A name that may vanish in a power cut must not pass for a result, nor block the next try.
    ::unlink(path_.c_str());
    throw;
  }
}

void NewFile::giveName() {
  bool named = false;
  if (hiddenName_.empty()) {
    const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
    named = ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0;
  } else {
    named = renameWithoutReplacing(hiddenName_, path_);
  }
  if (!named) {
    throwErrno("cannot create " + path_);
  }
  hiddenName_.clear();
}

}  // namespace netcow
