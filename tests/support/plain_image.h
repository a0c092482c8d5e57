// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>

namespace netcow::test {

/// What an image must be: a plain buffer in memory. Large ones cost only what is written.
class PlainImage {
 public:
  /// `capacity`: bytes it may ever grow to.
  PlainImage(std::uint64_t capacity, std::uint64_t size) : capacity_(capacity), size_(size) {
    void* const memory = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      throw std::runtime_error("no memory for the model");
    }
    bytes_ = static_cast<std::byte*>(memory);
  }
  ~PlainImage() { ::munmap(bytes_, capacity_); }
  PlainImage(const PlainImage&) = delete;
  PlainImage& operator=(const PlainImage&) = delete;

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::span<std::byte> bytes(std::uint64_t offset, std::uint64_t length) {
    return {bytes_ + offset, length};
  }
  void write(std::span<const std::byte> from, std::uint64_t offset) {
    if (!from.empty()) {
      size_ = std::max(size_, offset + from.size());
      std::copy(from.begin(), from.end(), bytes_ + offset);
    }
  }
  /// What is cut off is gone; what is new is zeros.
  void resize(std::uint64_t size) {
    if (size < size_) {
      constexpr std::uint64_t kPage = 4096;
      const std::uint64_t page = std::min(size_, (size + kPage - 1) / kPage * kPage);
      std::fill(bytes_ + size, bytes_ + page, std::byte{0});
      if (page < size_) {
        // Fresh pages of zeros.
        ::madvise(bytes_ + page, size_ - page, MADV_DONTNEED);
      }
    }
    size_ = size;
  }

 private:
  std::uint64_t capacity_;
  std::uint64_t size_;
  std::byte* bytes_ = nullptr;
};

/// What a test's base image holds at an offset, so that a byte from another place is noticed.
inline std::byte patternByte(std::uint64_t offset) {
  return static_cast<std::byte>((offset / 512 * 37 + offset % 512 + 1) & 0xFFU);
}

}  // namespace netcow::test
