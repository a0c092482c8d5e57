// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace netcow {

/// Bytes that others than root may still use on the file system of a path; nothing when it cannot
/// tell.
std::optional<std::uint64_t> freeBytesAt(const std::string& path);

/// Sees that a disk never gets full: what would take it below its reserve is refused before a byte
/// is written. What is left then is for the books: registry, tables, the removal of sessions.
/// Thread-safe.
class DiskRoom {
 public:
  /// What is kept free of a file system unless told otherwise: a hundredth, at least 16 MiB and at
  /// most 1 GiB.
  static std::uint64_t usualReserve(const std::string& folder);

  /// `folder` lies on the file system that is watched. `reserve`: bytes.
  DiskRoom(std::string folder, std::uint64_t reserve);

  /// Room for what is being written; others count it as used while this lives.
  class Claim {
   public:
    Claim(DiskRoom& room, std::uint64_t bytes) : room_(&room), bytes_(bytes) {}
    Claim(Claim&& other) noexcept
        : room_(std::exchange(other.room_, nullptr)), bytes_(other.bytes_) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim() {
      if (room_ != nullptr) {
        room_->claimed_ -= bytes_;
      }
    }

   private:
    DiskRoom* room_;
    std::uint64_t bytes_;
  };
  /// Throws Refusal (noSpace) where the reserve would be touched.
  [[nodiscard]] Claim claim(std::uint64_t bytes);

  [[nodiscard]] std::uint64_t freeBytes() const { return freeBytesAt(folder_).value_or(0); }
  [[nodiscard]] std::uint64_t reserve() const { return reserve_; }

 private:
  const std::string folder_;
  const std::uint64_t reserve_;
  std::atomic<std::uint64_t> claimed_ = 0;
};

}  // namespace netcow
