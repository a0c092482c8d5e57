// SPDX-License-Identifier: Apache-2.0
#include "format/dnbd3_messages.h"

#include <algorithm>
#include <cstring>

namespace netcow::dnbd3 {
namespace {

/// Appends fields to a message.
class Writer {
 public:
  template <class T>
  void integer(T value) {
    const LittleEndian<T> ordered = value;
    raw(&ordered, sizeof ordered);
  }
  void text(const std::string& value) { raw(value.c_str(), value.size() + 1); }
  void raw(const void* from, std::size_t length) {
    const auto* bytes = static_cast<const std::byte*>(from);
    bytes_.insert(bytes_.end(), bytes, bytes + length);
  }
  Bytes take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

/// Takes fields off the front of a payload; after the first that is missing all are.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> payload) : rest_(payload) {}
  template <class T>
  T integer() {
    LittleEndian<T> value;
    if (rest_.size() < sizeof value) {
      fail();
      return 0;
    }
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return value;
  }
  std::string text() {
    const auto end = std::find(rest_.begin(), rest_.end(), std::byte{0});
    if (end == rest_.end()) {
      fail();
      return {};
    }
    const auto length = static_cast<std::size_t>(end - rest_.begin());
    std::string value(reinterpret_cast<const char*>(rest_.data()), length);
    rest_ = rest_.subspan(length + 1);
    return value;
  }
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  void fail() {
    failed_ = true;
    rest_ = {};
  }
  std::span<const std::byte> rest_;
  bool failed_ = false;
};

template <class Header>
Bytes message(Header header, const Bytes& payload) {
  header.command = static_cast<std::uint16_t>(Command::selectImage);
  header.size = static_cast<std::uint32_t>(payload.size());
  Writer writer;
  writer.raw(&header, sizeof header);
  writer.raw(payload.data(), payload.size());
  return writer.take();
}

}  // namespace

Bytes encode(const SelectRequest& select) {
  Writer payload;
  payload.integer(select.version);
  payload.text(select.name);
  payload.integer(select.revision);
  payload.integer(select.flags);
  return message(RequestHeader{}, payload.take());
}

Bytes encode(const SelectReply& select) {
  Writer payload;
  payload.integer(select.version);
  payload.text(select.name);
  payload.integer(select.revision);
  payload.integer(select.size);
  return message(ReplyHeader{}, payload.take());
}

std::optional<SelectRequest> decodeSelectRequest(std::span<const std::byte> payload) {
  Reader reader(payload);
  SelectRequest select;
  select.version = reader.integer<std::uint16_t>();
  select.name = reader.text();
  select.revision = reader.integer<std::uint16_t>();
  select.flags = reader.empty() ? std::uint8_t{0} : reader.integer<std::uint8_t>();
  if (reader.failed()) {
    return std::nullopt;
  }
  return select;
}

std::optional<SelectReply> decodeSelectReply(std::span<const std::byte> payload) {
  Reader reader(payload);
  SelectReply select;
  select.version = reader.integer<std::uint16_t>();
  select.name = reader.text();
  select.revision = reader.integer<std::uint16_t>();
  select.size = reader.integer<std::uint64_t>();
  if (reader.failed()) {
    return std::nullopt;
  }
  return select;
}

RequestHeader blockRequest(std::uint64_t offset, std::uint32_t size, std::uint64_t handle) {
  RequestHeader request = plainRequest(Command::getBlock, handle);
  request.size = size;
  request.offsetAndHops = offset & RequestHeader::kOffsetMask;
  return request;
}

RequestHeader plainRequest(Command command, std::uint64_t handle) {
  RequestHeader request;
  request.command = static_cast<std::uint16_t>(command);
  request.handle = handle;
  return request;
}

}  // namespace netcow::dnbd3
