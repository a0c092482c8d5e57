// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "format/geometry.h"
#include "support/plain_image.h"

// A file as programs use it, with strings for bytes.
namespace netcow::test {

/// Memory that O_DIRECT accepts.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size, char fill = '\0')
      : memory_(static_cast<char*>(std::aligned_alloc(4096, roundUp(size, 4096))), &std::free),
        size_(size) {
    std::fill(data(), data() + size, fill);
  }
  [[nodiscard]] char* data() const { return memory_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::string text() const { return {data(), size_}; }

 private:
  std::unique_ptr<char, decltype(&std::free)> memory_;
  std::size_t size_;
};

/// What a base whose bytes are patternByte() reads as.
inline std::string patternText(std::uint64_t offset, std::size_t length) {
  std::string text(length, '\0');
  for (std::size_t i = 0; i < length; ++i) {
    text[i] = static_cast<char>(patternByte(offset + i));
  }
  return text;
}

/// Fewer bytes at the end of the file; none after an error.
inline std::string readAt(int fd, std::size_t size, std::uint64_t offset) {
  std::string text(size, '\0');
  const ssize_t got = ::pread(fd, text.data(), size, static_cast<off_t>(offset));
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

inline ssize_t writeAt(int fd, const std::string& text, std::uint64_t offset) {
  return ::pwrite(fd, text.data(), text.size(), static_cast<off_t>(offset));
}

inline struct stat attributesOf(const std::string& path) {
  struct stat attributes = {};
  EXPECT_EQ(::stat(path.c_str(), &attributes), 0) << path;
  return attributes;
}

inline off_t sizeOf(const std::string& path) {
  return attributesOf(path).st_size;
}

/// A range of a file in memory, shared with everybody who has it there.
class SharedMap {
 public:
  SharedMap(int fd, std::size_t size, std::uint64_t offset = 0)
      : size_(size),
        memory_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                       static_cast<off_t>(offset))) {
    EXPECT_NE(memory_, MAP_FAILED);
  }
  ~SharedMap() { ::munmap(memory_, size_); }
  SharedMap(const SharedMap&) = delete;
  SharedMap& operator=(const SharedMap&) = delete;

  [[nodiscard]] char* data() const { return static_cast<char*>(memory_); }
  [[nodiscard]] std::string text(std::size_t size, std::size_t offset = 0) const {
    return {data() + offset, size};
  }
  void put(const std::string& text, std::size_t offset) const {
    text.copy(data() + offset, text.size());
  }
  [[nodiscard]] int sync() const { return ::msync(memory_, size_, MS_SYNC); }

 private:
  const std::size_t size_;
  void* const memory_;
};

}  // namespace netcow::test
