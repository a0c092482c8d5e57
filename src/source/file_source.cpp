// SPDX-License-Identifier: Apache-2.0
#include "source/file_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/errors.h"
#include "source/status_head.h"

namespace netcow {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw UserError("cannot use " + path + " as the base: " + why);
}

/// Fills `buffer` or fails: a base that ends too early was changed under us.
std::error_code readExactly(int fd, std::span<std::byte> buffer, std::uint64_t offset) {
  while (!buffer.empty()) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return errnoCode(got == 0 ? EIO : errno);
    }
    buffer = buffer.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

}  // namespace

FileSource::FileSource(const std::string& path, ImageName image)
    : path_(path), image_(std::move(image)), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status = {};
  if (!fd_ || ::fstat(fd_.get(), &status) != 0) {
    refuse(path, errnoCode(errno).message() + "; check path and permissions");
  }
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    refuse(path, "it is neither a file nor a block device; name another");
  }
  // Unlike st_size, this tells the size of a block device too.
  const off_t end = ::lseek(fd_.get(), 0, SEEK_END);
  if (end < 0) {
    refuse(path, "its size cannot be found: " + errnoCode(errno).message());
  }
  if (end == 0) {
    refuse(path, "it is empty; name another");
  }
  size_ = static_cast<std::uint64_t>(end);
}

FileSource::~FileSource() {
  stop();
}

void FileSource::read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) {
  // Counted before stopped_ is looked at: stop() sets it before it waits for the count, so one of
  // the two sees the other.
  ++running_;
  if (stopped_) {
    done(errnoCode(EIO));
  } else if (offset > size_ || buffer.size() > size_ - offset) {
    done(errnoCode(EINVAL));
  } else {
    done(readExactly(fd_.get(), buffer, offset));
  }
  if (--running_ == 0) {
    running_.notify_all();
  }
}

void FileSource::stop() {
  stopped_ = true;
  for (int running = running_; running != 0; running = running_) {
    running_.wait(running);
  }
}

std::string FileSource::statusText() const {
  return statusHead(image_) + "File:     " + path_ + "\n";
}

}  // namespace netcow
