// SPDX-License-Identifier: Apache-2.0
#include "server/state_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/errors.h"

namespace netcow {

StateFolder::StateFolder(const std::string& path) : path_(path) {
  // Uploads hold whole pieces of images: not for other users' eyes.
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    throw UserError("cannot make the folder for uploads " + path + ": " + std::strerror(errno) +
                    "; make it writable, or name another with --state");
  }
  std::error_code error;
  path_ = std::filesystem::canonical(path, error);
  const std::string lockFile = path_ + "/lock";
  if (!error) {
    lock_.reset(::open(lockFile.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    error = errnoCode(lock_ ? 0 : errno);
  }
  if (error) {
    throw UserError("cannot use the folder for uploads " + path + ": " + error.message() +
                    "; make it writable, or name another with --state");
  }
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    throw UserError("the folder for uploads " + path +
                    " is in use by another netcow serve; stop that one, or name another folder "
                    "with --state");
  }
}

}  // namespace netcow
