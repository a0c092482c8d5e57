// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "base/whole_io.h"

namespace netcow::test {

inline UniqueFd openForTest(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd) {
    throw std::runtime_error("cannot open " + path);
  }
  return fd;
}

inline void writeAt(const std::string& path, std::span<const std::byte> content,
                    std::uint64_t offset = 0) {
  if (pwriteAll(openForTest(path).get(), content, offset)) {
    throw std::runtime_error("cannot write " + path);
  }
}

inline void setFileSize(const std::string& path, std::uint64_t size) {
  openForTest(path);  // may have to create it
  std::filesystem::resize_file(path, size);
}

inline std::vector<std::byte> readFrom(const std::string& path, std::uint64_t offset,
                                       std::size_t count) {
  std::vector<std::byte> content(count);
  if (preadOrZeros(openForTest(path).get(), content, offset)) {
    throw std::runtime_error("cannot read " + path);
  }
  return content;
}

inline std::vector<std::byte> readWhole(const std::string& path) {
  return readFrom(path, 0, std::filesystem::file_size(path));
}

/// Bytes of disk a file takes: less than its size when it has holes.
inline std::uint64_t allocatedBytes(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    throw std::runtime_error("cannot stat " + path);
  }
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

inline std::vector<std::string> namesIn(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

}  // namespace netcow::test
