// SPDX-License-Identifier: Apache-2.0
#include "session/posix_file.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/errors.h"
#include "base/whole_io.h"

namespace netcow {
namespace {

std::error_code resultOf(int returned) {
  return returned == 0 ? std::error_code{} : errnoCode(errno);
}

std::int64_t nanoseconds(const statx_timestamp& time) {
  return time.tv_sec * 1'000'000'000 + static_cast<std::int64_t>(time.tv_nsec);
}

/// FS_IOC_FIEMAP's request, with room for the extents of one call.
struct ExtentRequest {
  static constexpr std::uint32_t kExtents = 32;
  alignas(fiemap) std::byte memory[sizeof(fiemap) + kExtents * sizeof(fiemap_extent)] = {};

  ExtentRequest(std::uint64_t offset, std::uint64_t length) {
    fiemap header{};
    header.fm_start = offset;
    header.fm_length = length;
    header.fm_extent_count = kExtents;
    std::memcpy(memory, &header, sizeof header);
  }
  [[nodiscard]] std::uint32_t found() const {
    fiemap header{};
    std::memcpy(&header, memory, sizeof header);
    return header.fm_mapped_extents;
  }
  [[nodiscard]] fiemap_extent extent(std::uint32_t n) const {
    fiemap_extent extent{};
    std::memcpy(&extent, memory + sizeof(fiemap) + n * sizeof extent, sizeof extent);
    return extent;
  }
};

}  // namespace

std::error_code PosixFile::read(std::span<std::byte> buffer, std::uint64_t offset) {
  return preadOrZeros(fd_.get(), buffer, offset);
}

std::error_code PosixFile::readInto(std::span<const std::span<std::byte>> buffers,
                                    std::uint64_t offset) {
  std::vector<iovec> parts;
  std::size_t wanted = 0;
  for (const auto& buffer : buffers) {
    parts.push_back({buffer.data(), buffer.size()});
    wanted += buffer.size();
  }
  const ssize_t got =
      ::preadv(fd_.get(), parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(offset));
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

std::error_code PosixFile::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  return pwriteAll(fd_.get(), bytes, offset);
}

std::error_code PosixFile::punch(std::uint64_t offset, std::uint64_t length) {
  if (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                  static_cast<off_t>(length)) == 0) {
    return {};
  }
  return errno == EOPNOTSUPP ? writeZeros(offset, length) : errnoCode(errno);
}

std::error_code PosixFile::reserve(std::uint64_t offset, std::uint64_t length) {
  return resultOf(::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                              static_cast<off_t>(length)));
}

std::error_code PosixFile::resize(std::uint64_t size) {
  return resultOf(::ftruncate(fd_.get(), static_cast<off_t>(size)));
}

std::error_code PosixFile::sync() {
  return resultOf(::fdatasync(fd_.get()));
}

std::error_code PosixFile::size(std::uint64_t& bytes) {
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) {
    return errnoCode(errno);
  }
  bytes = static_cast<std::uint64_t>(status.st_size);
  return {};
}

std::error_code PosixFile::findData(std::uint64_t offset, std::uint64_t& found) {
  const auto error = seek(offset, SEEK_DATA, found);
  if (error.value() == ENXIO) {
    found = kNowhere;
    return {};
  }
  return error;
}

std::error_code PosixFile::findHole(std::uint64_t offset, std::uint64_t& found) {
  const auto error = seek(offset, SEEK_HOLE, found);
  if (error.value() == ENXIO) {
    found = offset;
    return {};
  }
  return error;
}

// Nothing else depends on the position of the descriptor.
std::error_code PosixFile::seek(std::uint64_t offset, int whence, std::uint64_t& found) {
  const off_t position = ::lseek(fd_.get(), static_cast<off_t>(offset), whence);
  if (position < 0) {
    return errnoCode(errno);
  }
  found = static_cast<std::uint64_t>(position);
  return {};
}

std::error_code PosixFile::allocatedBytes(std::uint64_t& bytes) {
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) {
    return errnoCode(errno);
  }
  bytes = static_cast<std::uint64_t>(status.st_blocks) * 512;
  return {};
}

std::error_code PosixFile::spaceIn(std::uint64_t offset, std::uint64_t length,
                                   std::uint64_t& bytes) {
  const std::uint64_t end = offset + length;
  bytes = 0;
  while (offset < end) {
    ExtentRequest request(offset, end - offset);
    if (::ioctl(fd_.get(), FS_IOC_FIEMAP, request.memory) != 0) {
      // tmpfs and network file systems tell only what is written.
      const bool unknown = errno == EOPNOTSUPP || errno == ENOTTY;
      return unknown ? dataIn(offset, end - offset, bytes) : errnoCode(errno);
    }
    for (std::uint32_t i = 0; i < request.found(); ++i) {
      const fiemap_extent extent = request.extent(i);
      const std::uint64_t from = std::max<std::uint64_t>(offset, extent.fe_logical);
      const std::uint64_t to = std::min<std::uint64_t>(end, extent.fe_logical + extent.fe_length);
      bytes += to > from ? to - from : 0;
      offset = std::max(offset, to);
    }
    if (request.found() < ExtentRequest::kExtents) {
      return {};
    }
  }
  return {};
}

std::error_code PosixFile::dataIn(std::uint64_t offset, std::uint64_t length,
                                  std::uint64_t& bytes) {
  const std::uint64_t end = offset + length;
  while (offset < end) {
    std::uint64_t data = 0;
    if (const auto error = findData(offset, data)) {
      return error;
    }
    if (data >= end) {
      return {};
    }
    std::uint64_t hole = 0;
    if (const auto error = findHole(data, hole)) {
      return error;
    }
    bytes += std::min(hole, end) - data;
    offset = hole;
  }
  return {};
}

std::error_code PosixFile::freeBytes(std::uint64_t& bytes) {
  struct statvfs status{};
  if (::fstatvfs(fd_.get(), &status) != 0) {
    return errnoCode(errno);
  }
  bytes = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
  return {};
}

std::error_code PosixFile::identify(Identity& identity) {
  struct statx status{};
  if (::statx(fd_.get(), "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &status) != 0) {
    return errnoCode(errno);
  }
  identity.device = makedev(status.stx_dev_major, status.stx_dev_minor);
  identity.inode = status.stx_ino;
  identity.birthNanoseconds =
      (status.stx_mask & STATX_BTIME) != 0 ? nanoseconds(status.stx_btime) : 0;
  return {};
}

std::error_code PosixFile::lockExclusively() {
  return resultOf(::flock(fd_.get(), LOCK_EX | LOCK_NB));
}

std::error_code PosixFile::writeZeros(std::uint64_t offset, std::uint64_t length) {
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

}  // namespace netcow
