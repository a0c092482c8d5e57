// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/reply_queue.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/logging.h"

namespace netcow {

using dnbd3::Command;
using dnbd3::ReplyHeader;

namespace {

// One call to the system sends at most so much, so that others get their turn.
constexpr std::uint64_t kLongestPiece = std::uint64_t{1} << 20U;

ReplyHeader replyHeader(Command command, std::uint64_t handle, std::uint64_t size) {
  ReplyHeader header;
  header.command = static_cast<std::uint16_t>(command);
  header.size = static_cast<std::uint32_t>(size);
  header.handle = handle;
  return header;
}

}  // namespace

void ReplyQueue::addPlain(Command command, std::uint64_t handle, Payload payload,
                          Clock::Time arrived) {
  const std::uint64_t size = payload ? payload->size() : 0;
  replies_.push_back({.header = replyHeader(command, handle, size),
                      .payload = std::move(payload),
                      .remaining = size,
                      .arrived = arrived});
}

void ReplyQueue::addContent(std::uint64_t handle, std::uint64_t position, std::uint32_t size,
                            Clock::Time arrived) {
  replies_.push_back({.header = replyHeader(Command::getBlock, handle, size),
                      .fromFile = size >= leastFromFile_,
                      .payload = nullptr,
                      .position = position,
                      .remaining = size,
                      .arrived = arrived});
}

/// How much of the rest of a reply can be sent from the file.
std::uint64_t ReplyQueue::lengthInFile(const Reply& reply, const ServedImage* image) {
  if (!reply.fromFile || reply.position >= image->size()) {
    return 0;
  }
  return std::min(reply.remaining, image->size() - reply.position);
}

std::optional<ReplyQueue::FilePiece> ReplyQueue::filePiece(const ServedImage* image) const {
  if (replies_.empty() || replies_.front().headerSent < sizeof(ReplyHeader)) {
    return std::nullopt;
  }
  const Reply& front = replies_.front();
  const std::uint64_t length = std::min(lengthInFile(front, image), kLongestPiece);
  if (length == 0) {
    return std::nullopt;
  }
  return FilePiece{front.position, static_cast<std::size_t>(length)};
}

bool ReplyQueue::pieceIsReady(const ServedImage& image, DiskAccess access) const {
  const Reply& front = replies_.front();
  // The first piece was looked at before its header was promised.
  return access == DiskAccess::mayWait || front.remaining == front.header.size ||
         image.isCached(front.position, std::min(lengthInFile(front, &image), kLongestPiece));
}

ReplyQueue::Gathered ReplyQueue::gather(std::span<std::byte> buffer, const ServedImage* image,
                                        DiskAccess access) {
  std::size_t used = 0;
  for (auto reply = replies_.begin(); reply != replies_.end();) {
    const auto rest = buffer.subspan(used);
    const std::size_t head = sizeof(ReplyHeader) - reply->headerSent;
    if (rest.size() < head) {
      break;
    }
    const bool pieceFollows = lengthInFile(*reply, image) > 0;
    const auto length = pieceFollows ? 0
                                     : static_cast<std::size_t>(std::min<std::uint64_t>(
                                           reply->remaining, rest.size() - head));
    // The header is promised only for what can be read.
    const auto error = pieceFollows ? prepare(*reply, rest, image, access)
                                    : copyNext(*reply, rest.subspan(head, length), image, access);
    if (error) {
      if (const auto state = afterFailure(*reply, error, image)) {
        return {used, *state};
      }
      continue;  // it became an ERROR
    }
    std::memcpy(rest.data(), reinterpret_cast<const std::byte*>(&reply->header) + reply->headerSent,
                head);
    used += head + length;
    if (length < reply->remaining) {
      return {used, State::ready, pieceFollows};
    }
    ++reply;
  }
  return {used, State::ready};
}

/// What a failed read means: nothing when the reply was replaced by an ERROR.
std::optional<ReplyQueue::State> ReplyQueue::afterFailure(Reply& reply,
                                                          const std::error_code& error,
                                                          const ServedImage* image) {
  if (error == std::errc::operation_would_block) {
    return State::needsDisk;
  }
  spdlog::error("cannot read {} at {}: {}", image->image().fileName(), reply.position,
                error.message());
  statistics_.requestFailed();
  if (reply.headerSent > 0) {
    return State::broken;
  }
  reply = {.header = replyHeader(Command::error, reply.header.handle, 0),
           .payload = nullptr,
           .arrived = reply.arrived};
  return std::nullopt;
}

/// Sees to it that the file can be sent from without waiting for the disk, at least at first.
std::error_code ReplyQueue::prepare(const Reply& reply, std::span<std::byte> scratch,
                                    const ServedImage* image, DiskAccess access) const {
  const std::uint64_t length = lengthInFile(reply, image);
  if (image->isCached(reply.position, std::min(length, kLongestPiece))) {
    return {};
  }
  if (access == DiskAccess::cachedOnly) {
    return make_error_code(std::errc::operation_would_block);
  }
  image->willNeed(reply.position, length);
  const auto first = std::min<std::uint64_t>(length, scratch.size());
  return image->read(scratch.first(static_cast<std::size_t>(first)), reply.position);
}

std::error_code ReplyQueue::copyNext(const Reply& reply, std::span<std::byte> into,
                                     const ServedImage* image, DiskAccess access) const {
  if (!reply.payload) {
    return into.empty() ? std::error_code() : image->read(into, reply.position, access);
  }
  std::ranges::copy(std::span(*reply.payload).subspan(reply.position, into.size()), into.begin());
  return {};
}

std::uint64_t ReplyQueue::sent(std::size_t length) {
  std::uint64_t content = 0;
  const Clock::Time now = std::chrono::steady_clock::now();
  while (!replies_.empty()) {
    Reply& front = replies_.front();
    const auto head = std::min<std::size_t>(length, sizeof(ReplyHeader) - front.headerSent);
    front.headerSent = static_cast<std::uint8_t>(front.headerSent + head);
    length -= head;
    const auto body = std::min<std::uint64_t>(length, front.remaining);
    front.position += body;
    front.remaining -= body;
    length -= static_cast<std::size_t>(body);
    content += front.payload ? 0 : body;
    if (front.headerSent < sizeof(ReplyHeader) || front.remaining > 0) {
      break;
    }
    finishFront(now);
  }
  return content;
}

void ReplyQueue::finishFront(Clock::Time now) {
  statistics_.repliesSent(1, now - replies_.front().arrived);
  replies_.pop_front();
}

}  // namespace netcow
