// SPDX-License-Identifier: Apache-2.0
#include "base/whole_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/errors.h"
#include "base/unique_fd.h"

namespace netcow {

std::error_code preadOrZeros(int fd, std::span<std::byte> buffer, std::uint64_t offset) {
  while (!buffer.empty()) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errnoCode(errno);
    }
    if (got == 0) {
      std::fill(buffer.begin(), buffer.end(), std::byte{0});
      return {};
    }
    buffer = buffer.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

std::error_code pwriteAll(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errnoCode(errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return {};
}

std::string readTextFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    throwErrno("cannot open " + path);
  }
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t got = ::read(fd.get(), part, sizeof part);
    if (got < 0 && errno != EINTR) {
      throwErrno("cannot read " + path);
    }
    if (got == 0) {
      return text;
    }
    if (got > 0) {
      text.append(part, static_cast<std::size_t>(got));
    }
  }
}

void replaceTextFile(const std::string& path, std::string_view text, bool durable) {
  const std::string temporary = path + ".new";
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) {
    throwErrno("cannot create " + temporary);
  }
  if (const auto error = pwriteAll(fd.get(), std::as_bytes(std::span(text)), 0)) {
    ::unlink(temporary.c_str());
    throwErrno(error.value(), "cannot write " + temporary);
  }
  if (durable && ::fsync(fd.get()) != 0) {
    throwErrno("cannot sync " + temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    throwErrno("cannot rename " + temporary + " to " + path);
  }
  if (durable) {
    syncFolder(std::filesystem::path(path).parent_path());
  }
}

void syncFolder(const std::string& path) {
  const std::string name = path.empty() ? "." : path;
  const UniqueFd fd(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) {
    throwErrno("cannot sync the folder " + name);
  }
}

}  // namespace netcow
