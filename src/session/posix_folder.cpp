// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/errors.h"
#include "base/unique_fd.h"
#include "base/whole_io.h"
#include "session/file_system.h"

namespace netcow {
namespace {

std::error_code resultOf(int returned) {
  return returned == 0 ? std::error_code{} : errnoCode(errno);
}

class PosixFile : public File {
 public:
  explicit PosixFile(UniqueFd fd) : fd_(std::move(fd)) {}

  std::error_code read(std::span<std::byte> buffer, std::uint64_t offset) override {
    return preadOrZeros(fd_.get(), buffer, offset);
  }

  std::error_code readInto(std::span<const std::span<std::byte>> buffers,
                           std::uint64_t offset) override {
    std::vector<iovec> parts;
    std::size_t wanted = 0;
    for (const auto& buffer : buffers) {
      parts.push_back({buffer.data(), buffer.size()});
      wanted += buffer.size();
    }
    const ssize_t got = ::preadv(fd_.get(), parts.data(), static_cast<int>(parts.size()),
                                 static_cast<off_t>(offset));
    if (got == static_cast<ssize_t>(wanted)) {
      return {};
    }
    // Interrupted, or the end of the file: the rare case may be slow.
    for (const auto& buffer : buffers) {
      if (const auto error = read(buffer, offset)) {
        return error;
      }
      offset += buffer.size();
    }
    return {};
  }

  std::error_code write(std::span<const std::byte> bytes, std::uint64_t offset) override {
    return pwriteAll(fd_.get(), bytes, offset);
  }

  std::error_code punch(std::uint64_t offset, std::uint64_t length) override {
    if (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    static_cast<off_t>(offset), static_cast<off_t>(length)) == 0) {
      return {};
    }
    return errno == EOPNOTSUPP ? writeZeros(offset, length) : errnoCode(errno);
  }

  std::error_code resize(std::uint64_t size) override {
    return resultOf(::ftruncate(fd_.get(), static_cast<off_t>(size)));
  }

  std::error_code sync() override { return resultOf(::fdatasync(fd_.get())); }

  std::error_code size(std::uint64_t& bytes) override {
    struct stat status{};
    if (::fstat(fd_.get(), &status) != 0) {
      return errnoCode(errno);
    }
    bytes = static_cast<std::uint64_t>(status.st_size);
    return {};
  }

  std::error_code identify(Identity& identity) override {
    struct statx status{};
    if (::statx(fd_.get(), "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME | STATX_MTIME, &status) !=
        0) {
      return errnoCode(errno);
    }
    identity.device = makedev(status.stx_dev_major, status.stx_dev_minor);
    identity.inode = status.stx_ino;
    identity.birthNanoseconds =
        (status.stx_mask & STATX_BTIME) != 0 ? nanoseconds(status.stx_btime) : 0;
    identity.modifiedNanoseconds = nanoseconds(status.stx_mtime);
    return {};
  }

  std::error_code lockExclusively() override {
    return resultOf(::flock(fd_.get(), LOCK_EX | LOCK_NB));
  }

 private:
  static std::int64_t nanoseconds(const statx_timestamp& time) {
    return time.tv_sec * 1'000'000'000 + static_cast<std::int64_t>(time.tv_nsec);
  }

  std::error_code writeZeros(std::uint64_t offset, std::uint64_t length) {
    const std::vector<std::byte> zeros(std::min<std::uint64_t>(length, 1U << 20U));
    while (length > 0) {
      const std::uint64_t part = std::min<std::uint64_t>(length, zeros.size());
      if (const auto error = write(std::span(zeros).first(part), offset)) {
        return error;
      }
      offset += part;
      length -= part;
    }
    return {};
  }

  UniqueFd fd_;
};

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
