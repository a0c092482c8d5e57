// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// dnbd3 messages put together byte by byte, as docs/formats/dnbd3.md tells them: nothing here uses
// the code that is under test.
namespace netcow::test {

class ByteWriter {
 public:
  ByteWriter& u8(std::uint64_t value) { return little(value, 1); }
  ByteWriter& u16(std::uint64_t value) { return little(value, 2); }
  ByteWriter& u32(std::uint64_t value) { return little(value, 4); }
  ByteWriter& u64(std::uint64_t value) { return little(value, 8); }
  ByteWriter& text(const std::string& value) {
    for (const char c : value) {
      bytes_.push_back(static_cast<std::byte>(c));
    }
    bytes_.push_back(std::byte{0});
    return *this;
  }
  ByteWriter& raw(const std::vector<std::byte>& value) {
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    return *this;
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  ByteWriter& little(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i, value >>= 8U) {
      bytes_.push_back(static_cast<std::byte>(value & 0xFFU));
    }
    return *this;
  }
  std::vector<std::byte> bytes_;
};

/// A request; for every command but 1 `size` is that of the payload.
inline std::vector<std::byte> request(std::uint16_t command, std::uint64_t offset,
                                      std::uint32_t size, std::uint64_t handle,
                                      const std::vector<std::byte>& payload = {}) {
  return ByteWriter()
      .u16(0x7273)
      .u16(command)
      .u32(size)
      .u64(offset)
      .u64(handle)
      .raw(payload)
      .bytes();
}

inline std::vector<std::byte> selectImage(const std::string& name, std::uint16_t revision,
                                          std::uint16_t version = 3) {
  const auto payload = ByteWriter().u16(version).text(name).u16(revision).u8(0).bytes();
  return request(2, 0, static_cast<std::uint32_t>(payload.size()), 0, payload);
}

inline std::vector<std::byte> getBlock(std::uint64_t offset, std::uint32_t size,
                                       std::uint64_t handle) {
  return request(1, offset, size, handle);
}

inline std::vector<std::byte> reply(std::uint16_t command, std::uint64_t handle,
                                    const std::vector<std::byte>& payload = {}) {
  return ByteWriter().u16(0x7273).u16(command).u32(payload.size()).u64(handle).raw(payload).bytes();
}

inline std::vector<std::byte> selectReply(const std::string& name, std::uint16_t revision,
                                          std::uint64_t size, std::uint16_t version = 3) {
  return reply(2, 0, ByteWriter().u16(version).text(name).u16(revision).u64(size).bytes());
}

}  // namespace netcow::test
