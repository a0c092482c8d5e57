// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/disk_room.h"

#include <sys/statvfs.h>

#include <algorithm>

#include "server/uploads/refusal.h"

namespace netcow {

std::optional<std::uint64_t> freeBytesAt(const std::string& path) {
  struct statvfs disk = {};
  if (::statvfs(path.c_str(), &disk) != 0) {
    return std::nullopt;
  }
  return std::uint64_t{disk.f_bavail} * disk.f_frsize;
}

std::uint64_t DiskRoom::usualReserve(const std::string& folder) {
  constexpr std::uint64_t kLeast = std::uint64_t{16} << 20U;
  constexpr std::uint64_t kMost = std::uint64_t{1} << 30U;
  struct statvfs disk = {};
  if (::statvfs(folder.c_str(), &disk) != 0) {
    return kLeast;
  }
  return std::clamp(std::uint64_t{disk.f_blocks} * disk.f_frsize / 100, kLeast, kMost);
}

DiskRoom::DiskRoom(std::string folder, std::uint64_t reserve)
    : folder_(std::move(folder)), reserve_(reserve) {}

DiskRoom::Claim DiskRoom::claim(std::uint64_t bytes) {
  const std::uint64_t wanted = claimed_ += bytes;
  Claim claim(*this, bytes);
  // A file system that cannot tell is asked by writing to it.
  const auto free = freeBytesAt(folder_);
  if (free && *free < reserve_ + wanted) {
    throw Refusal(Refusal::Kind::noSpace, "the server's disk for uploads is full (" +
                                              std::to_string(*free >> 20U) + " MiB free, " +
                                              std::to_string(reserve_ >> 20U) +
                                              " MiB are kept); it goes on when there is room");
  }
  return claim;
}

}  // namespace netcow
