// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <filesystem>

namespace netcow::test {

/// While one lives, files below a folder find room for so many bytes more, and then the disk is
/// full. They cannot share their content there. One at a time; the test is linked with --wrap for
/// the calls in full_disk.cpp.
class FullDisk {
 public:
  FullDisk(std::filesystem::path folder, std::uint64_t room);
  ~FullDisk();
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

  /// Whether somebody was told so.
  [[nodiscard]] bool wasFull() const { return wasFull_; }

  [[nodiscard]] bool holds(int fd) const;
  /// How much of `length` may be written: 0 = the disk is full.
  std::size_t take(std::size_t length);

 private:
  const std::filesystem::path folder_;
  std::atomic<std::uint64_t> room_;
  std::atomic<bool> wasFull_ = false;
};

}  // namespace netcow::test
