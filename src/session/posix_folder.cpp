// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/errors.h"
#include "base/unique_fd.h"
#include "base/whole_io.h"
#include "session/file_system.h"
#include "session/posix_file.h"

namespace netcow {
namespace {

std::error_code resultOf(int returned) {
  return returned == 0 ? std::error_code{} : errnoCode(errno);
}

class PosixFolder : public Folder {
 public:
  explicit PosixFolder(const std::string& path)
      : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (!fd_) {
      throwErrno("cannot open the folder " + path);
    }
  }

  std::error_code open(const std::string& name, std::unique_ptr<File>& file) override {
    return openWith(name, O_RDWR, file);
  }
  std::error_code openReadOnly(const std::string& name, std::unique_ptr<File>& file) override {
    return openWith(name, O_RDONLY, file);
  }
  std::error_code create(const std::string& name, std::unique_ptr<File>& file) override {
    return openWith(name, O_RDWR | O_CREAT | O_EXCL, file);
  }
  std::error_code remove(const std::string& name) override {
    return resultOf(::unlinkat(fd_.get(), name.c_str(), 0));
  }
  std::error_code rename(const std::string& from, const std::string& to) override {
    return resultOf(::renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()));
  }
  std::error_code sync() override { return resultOf(::fsync(fd_.get())); }
  [[nodiscard]] const std::string& path() const override { return path_; }

  [[nodiscard]] std::string bootId() const override {
    std::string id = readTextFile("/proc/sys/kernel/random/boot_id");
    while (!id.empty() && id.back() == '\n') {
      id.pop_back();
    }
    return id;
  }

 private:
  std::error_code openWith(const std::string& name, int flags, std::unique_ptr<File>& file) {
    UniqueFd fd(::openat(fd_.get(), name.c_str(), flags | O_CLOEXEC, 0600));
    if (!fd) {
      return errnoCode(errno);
    }
    file = std::make_unique<PosixFile>(std::move(fd));
    return {};
  }

  std::string path_;
  UniqueFd fd_;
};

}  // namespace

std::unique_ptr<Folder> openFolder(const std::string& path) {
  return std::make_unique<PosixFolder>(path);
}

}  // namespace netcow
