// SPDX-License-Identifier: Apache-2.0
#include "support/load_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace netcow::test {
namespace {

using Bytes = std::vector<std::byte>;

void little(Bytes& to, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i, value >>= 8U) {
    to.push_back(static_cast<std::byte>(value & 0xFFU));
  }
}

void big(Bytes& to, std::uint64_t value, int count) {
  for (int i = count; i-- > 0;) {
    to.push_back(static_cast<std::byte>(value >> (8U * static_cast<unsigned>(i)) & 0xFFU));
  }
}

std::uint64_t littleAt(std::span<const std::byte> bytes, std::size_t at, int count) {
  std::uint64_t value = 0;
  for (int i = count; i-- > 0;) {
    value = value << 8U | static_cast<std::uint64_t>(bytes[at + static_cast<std::size_t>(i)]);
  }
  return value;
}

/// SELECT_IMAGE of the newest revision.
Bytes dnbd3Greeting(const std::string& image) {
  Bytes bytes;
  little(bytes, 0x7273, 2);
  little(bytes, 2, 2);
  little(bytes, 2 + image.size() + 1 + 2 + 1, 4);
  little(bytes, 0, 8);
  little(bytes, 0, 8);
  little(bytes, 3, 2);
  for (const char c : image) {
    bytes.push_back(static_cast<std::byte>(c));
  }
  little(bytes, 0, 1 + 2 + 1);
  return bytes;
}

/// Flags without zeros behind the answer, then NBD_OPT_EXPORT_NAME of the default export.
Bytes nbdGreeting() {
  Bytes bytes;
  big(bytes, 3, 4);
  big(bytes, 0x49484156454F5054, 8);
  big(bytes, 1, 4);
  big(bytes, 0, 4);
  return bytes;
}

}  // namespace

LoadClient::LoadClient(const LoadOptions& options, SeededRandom random, bool sequential)
    : options_(options), random_(random), sequential_(sequential) {
  nextOffset_ = random_.between(0, options.imageSize / options.size - 1) * options.size;
}

bool LoadClient::connect() {
  output_.clear();
  asked_.clear();
  headerLength_ = 0;
  current_ = {};
  socket_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(options_.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int one = 1;
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    socket_.reset();
    return false;
  }
  if (options_.protocol == LoadOptions::Protocol::dnbd3) {
    append(dnbd3Greeting(options_.image));
    greetingLeft_ = 16 + 2 + options_.image.size() + 1 + 2 + 8;
  } else {
    append(nbdGreeting());
    greetingLeft_ = 18 + 10;
  }
  return send();
}

bool LoadClient::proceed(std::span<std::byte> buffer) {
  const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
    return false;
  }
  if (got > 0) {
    take(buffer.first(static_cast<std::size_t>(got)));
  }
  return wrong.empty() && send();
}

bool LoadClient::send() {
  if (output_.empty()) {
    return true;
  }
  const ssize_t sent =
      ::send(socket_.get(), output_.data(), output_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) {
    return errno == EAGAIN || errno == EINTR;
  }
  output_.erase(output_.begin(), output_.begin() + sent);
  return true;
}

void LoadClient::take(std::span<const std::byte> bytes) {
  while (!bytes.empty() && wrong.empty()) {
    if (greetingLeft_ > 0) {
      bytes = bytes.subspan(takeGreeting(bytes));
    } else if (current_.size > 0) {
      bytes = bytes.subspan(takeContent(bytes));
    } else {
      bytes = bytes.subspan(takeHeader(bytes));
    }
  }
}

std::size_t LoadClient::takeGreeting(std::span<const std::byte> bytes) {
  const std::size_t length = std::min(bytes.size(), greetingLeft_);
  greetingLeft_ -= length;
  for (int i = 0; greetingLeft_ == 0 && i < options_.depth; ++i) {
    askAgain();
  }
  return length;
}

std::size_t LoadClient::takeHeader(std::span<const std::byte> bytes) {
  const std::size_t length = std::min(bytes.size(), header_.size() - headerLength_);
  std::ranges::copy(bytes.first(length),
                    header_.begin() + static_cast<std::ptrdiff_t>(headerLength_));
  headerLength_ += length;
  if (headerLength_ < header_.size()) {
    return length;
  }
  headerLength_ = 0;
  // In both protocols the handle is the last; it comes back as it was sent.
  const auto asked = asked_.find(littleAt(header_, 8, 8));
  const bool isDnbd3 = options_.protocol == LoadOptions::Protocol::dnbd3;
  const bool sound =
      isDnbd3 ? littleAt(header_, 0, 4) == 0x0001'7273 : littleAt(header_, 0, 8) == 0x9866'4467;
  if (!sound || asked == asked_.end() ||
      (isDnbd3 && littleAt(header_, 4, 4) != asked->second.size)) {
    wrong = "a reply that nobody asked for";
    return length;
  }
  current_ = asked->second;
  asked_.erase(asked);
  return length;
}

std::size_t LoadClient::takeContent(std::span<const std::byte> bytes) {
  const auto length = std::min<std::size_t>(bytes.size(), current_.size);
  if (!options_.content.empty() &&
      std::memcmp(bytes.data(), options_.content.data() + current_.offset, length) != 0) {
    wrong = "wrong content at " + std::to_string(current_.offset);
    return length;
  }
  current_.offset += length;
  current_.size -= static_cast<std::uint32_t>(length);
  contentBytes += length;
  if (current_.size == 0) {
    ++replies;
    askAgain();
  }
  return length;
}

void LoadClient::askAgain() {
  if (finishing_) {
    if (finished() && options_.protocol == LoadOptions::Protocol::nbd) {
      big(output_, 0x2560'9513, 4);
      big(output_, 2, 4);  // no flags, and the command to disconnect
      big(output_, 0, 8 + 8 + 4);
    }
    return;
  }
  const auto size = options_.anySize ? static_cast<std::uint32_t>(random_.between(1, options_.size))
                                     : options_.size;
  if (sequential_) {
    nextOffset_ = nextOffset_ + size > options_.imageSize ? 0 : nextOffset_;
  } else if (options_.anySize) {
    nextOffset_ = random_.between(0, options_.imageSize - size);
  } else {
    nextOffset_ = random_.between(0, options_.imageSize / size - 1) * size;
  }
  const std::uint64_t handle = nextHandle_++;
  asked_[handle] = {nextOffset_, size};
  if (options_.protocol == LoadOptions::Protocol::dnbd3) {
    little(output_, 0x0001'7273, 4);
    little(output_, size, 4);
    little(output_, nextOffset_, 8);
    little(output_, handle, 8);
  } else {
    big(output_, 0x2560'9513, 4);
    big(output_, 0, 4);  // flags, and the command to read
    little(output_, handle, 8);
    big(output_, nextOffset_, 8);
    big(output_, size, 4);
  }
  nextOffset_ += size;
}

void LoadClient::append(const Bytes& bytes) {
  output_.insert(output_.end(), bytes.begin(), bytes.end());
}

}  // namespace netcow::test
