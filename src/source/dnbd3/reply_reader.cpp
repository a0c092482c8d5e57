// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/reply_reader.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/errors.h"

namespace netcow {
namespace {

/// The longest payload accepted of anything but a block, in bytes.
constexpr std::uint32_t kLongestShortText = 1000;

}  // namespace

void ReplyReader::reset() {
  buffered_ = 0;
  inPayload_ = false;
  rest_ = {};
  lastBlock_ = 0;
  failure_.clear();
}

std::size_t ReplyReader::readAhead() const {
  const std::size_t most = lastBlock_ >= kLargeBlock ? sizeof(dnbd3::ReplyHeader) : kBufferSize;
  return std::max(most, buffered_ + 1) - buffered_;
}

ReplyReader::Result ReplyReader::receive(int socket) {
  iovec parts[2] = {{.iov_base = rest_.data(), .iov_len = rest_.size()},
                    {.iov_base = buffer_.data() + buffered_, .iov_len = readAhead()}};
  msghdr message = {};
  message.msg_iov = rest_.empty() ? parts + 1 : parts;
  message.msg_iovlen = rest_.empty() ? 1 : 2;
  const ssize_t got = ::recvmsg(socket, &message, MSG_DONTWAIT);
  if (got < 0) {
    const bool isNothing = errno == EAGAIN || errno == EINTR;
    return {.gotBytes = false,
            .ofBlocks = false,
            .failure = isNothing ? "" : "connection lost (" + errnoCode(errno).message() + ")"};
  }
  if (got == 0) {
    return {.gotBytes = false,
            .ofBlocks = false,
            .failure = inPayload_ || buffered_ != 0 ? "it closed the connection inside a reply"
                                                    : "it closed the connection"};
  }
  ofBlocks_ = inBlock();
  const auto bytes = static_cast<std::size_t>(got);
  const std::size_t direct = std::min(bytes, rest_.size());
  rest_ = rest_.subspan(direct);
  buffered_ += bytes - direct;
  if (inPayload_ && rest_.empty()) {
    endReply();
  }
  parseBuffer();
  return {.gotBytes = true, .ofBlocks = ofBlocks_, .failure = failure_};
}

bool ReplyReader::inBlock() const {
  return inPayload_ && header_.command == static_cast<std::uint16_t>(dnbd3::Command::getBlock);
}

void ReplyReader::findPlaceAgain() {
  if (inBlock()) {
    rest_ = handler_.beginBlock(header_.handle).last(rest_.size());
  }
}

void ReplyReader::parseBuffer() {
  std::size_t parsed = 0;
  while (failure_.empty()) {
    const std::size_t left = buffered_ - parsed;
    if (!inPayload_) {
      if (left < sizeof(dnbd3::ReplyHeader)) {
        break;
      }
      dnbd3::ReplyHeader header;
      std::memcpy(&header, buffer_.data() + parsed, sizeof header);
      parsed += sizeof header;
      beginReply(header);
      continue;
    }
    if (left == 0) {
      break;
    }
    const std::size_t copied = std::min(left, rest_.size());
    std::memcpy(rest_.data(), buffer_.data() + parsed, copied);
    rest_ = rest_.subspan(copied);
    parsed += copied;
    if (rest_.empty()) {
      endReply();
    }
  }
  // Only a part of a header can be left, or, after a failure, what nobody will look at.
  std::memmove(buffer_.data(), buffer_.data() + parsed, buffered_ - parsed);
  buffered_ -= parsed;
}

void ReplyReader::beginReply(const dnbd3::ReplyHeader& header) {
  header_ = header;
  if (header.magic != dnbd3::kMagic) {
    fail("it sent a reply with a wrong magic number");
    return;
  }
  switch (static_cast<dnbd3::Command>(std::uint16_t{header.command})) {
    case dnbd3::Command::getBlock:
      beginBlock(header);
      return;
    case dnbd3::Command::error:
      ofBlocks_ = true;
      if (header.size != 0 || !handler_.refuseBlock(header.handle)) {
        fail("it sent an error for a request that was never made");
      }
      return;
    default:
      break;
  }
  // Replies of kinds this client does not know are passed over, as the reference does.
  if (header.size > kLongestShortText) {
    fail("it sent a reply of an impossible length");
    return;
  }
  if (!handler_.takePlainReply(static_cast<dnbd3::Command>(std::uint16_t{header.command}))) {
    fail("it sends replies that nobody asked for");
    return;
  }
  shortText_.resize(header.size);
  rest_ = shortText_;
  inPayload_ = !rest_.empty();
}

void ReplyReader::beginBlock(const dnbd3::ReplyHeader& header) {
  const std::span<std::byte> place = handler_.beginBlock(header.handle);
  if (place.empty()) {
    fail("it sent a block that was never asked for");
    return;
  }
  if (place.size() != header.size) {
    fail("it sent a block of " + std::to_string(header.size) + " bytes instead of " +
         std::to_string(place.size()));
    return;
  }
  ofBlocks_ = true;
  rest_ = place;
  inPayload_ = true;
}

void ReplyReader::endReply() {
  inPayload_ = false;
  const auto command = static_cast<dnbd3::Command>(std::uint16_t{header_.command});
  if (command == dnbd3::Command::getBlock) {
    lastBlock_ = header_.size;
    handler_.endBlock(header_.handle);
  } else if (command == dnbd3::Command::getServers) {
    std::array<dnbd3::ServerEntry, dnbd3::kMaxServerEntries> entries;
    const std::size_t count =
        std::min(shortText_.size() / sizeof(dnbd3::ServerEntry), entries.size());
    std::memcpy(entries.data(), shortText_.data(), count * sizeof(dnbd3::ServerEntry));
    handler_.takeServers(std::span(entries).first(count));
  }
}

}  // namespace netcow
