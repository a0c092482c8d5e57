// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace netcow::test {

/// CRC-32 of zlib, computed by its definition; nothing of netcow's.
inline std::uint32_t plainCrc32(std::span<const std::byte> bytes) {
  static const auto kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t n = 0; n < 256; ++n) {
      std::uint32_t value = n;
      for (int bit = 0; bit < 8; ++bit) {
        value = (value & 1U) != 0 ? 0xEDB88320U ^ (value >> 1U) : value >> 1U;
      }
      table[n] = value;
    }
    return table;
  }();
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const std::byte byte : bytes) {
    crc = kTable[(crc ^ static_cast<std::uint32_t>(byte)) & 0xFFU] ^ (crc >> 8U);
  }
  return crc ^ 0xFFFFFFFFU;
}

/// A list of checksums as files and servers hold it: its own checksum, then `checksums`;
/// little-endian.
inline std::vector<std::byte> checksumListOf(const std::vector<std::uint32_t>& checksums) {
  const auto append = [](std::vector<std::byte>& to, std::uint32_t number) {
    for (int i = 0; i < 4; ++i, number >>= 8U) {
      to.push_back(static_cast<std::byte>(number & 0xFFU));
    }
  };
  std::vector<std::byte> numbers;
  for (const std::uint32_t checksum : checksums) {
    append(numbers, checksum);
  }
  std::vector<std::byte> list;
  append(list, plainCrc32(numbers));
  list.insert(list.end(), numbers.begin(), numbers.end());
  return list;
}

/// Writes PATH.crc.
inline void writeChecksumList(const std::string& path,
                              const std::vector<std::uint32_t>& checksums) {
  const std::vector<std::byte> list = checksumListOf(checksums);
  std::ofstream file(path + ".crc", std::ios::binary);
  file.write(reinterpret_cast<const char*>(list.data()), static_cast<std::streamsize>(list.size()));
  if (!file.flush()) {
    throw std::runtime_error("cannot write " + path + ".crc");
  }
}

/// The checksums of a file: one for every 16 MiB, the last padded with zeros to a block.
inline std::vector<std::uint32_t> checksumsOf(const std::string& path) {
  constexpr std::uint64_t kSpan = 16 * 1024 * 1024;
  const std::uint64_t size = (std::filesystem::file_size(path) + 4095) / 4096 * 4096;
  std::ifstream file(path, std::ios::binary);
  std::vector<std::uint32_t> checksums;
  for (std::uint64_t at = 0; at < size; at += kSpan) {
    std::vector<std::byte> span(std::min(kSpan, size - at));
    file.read(reinterpret_cast<char*>(span.data()), static_cast<std::streamsize>(span.size()));
    checksums.push_back(plainCrc32(span));
  }
  return checksums;
}

}  // namespace netcow::test
