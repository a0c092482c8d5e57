// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/client_protocol.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/logging.h"
#include "server/blocks/checksum_list.h"

namespace netcow {

using dnbd3::Command;
using dnbd3::ReplyHeader;
using dnbd3::RequestHeader;

namespace {

ReplyHeader replyHeader(Command command, std::uint64_t handle, std::uint64_t size) {
  ReplyHeader header;
  header.command = static_cast<std::uint16_t>(command);
  header.size = static_cast<std::uint32_t>(size);
  header.handle = handle;
  return header;
}

std::shared_ptr<const std::vector<std::byte>> encodeServers(
    const std::vector<dnbd3::ServerEntry>& servers) {
  const auto bytes = std::as_bytes(std::span(servers));
  const std::size_t most = dnbd3::kMaxServerEntries * sizeof(dnbd3::ServerEntry);
  const auto told = bytes.first(std::min(bytes.size(), most));
  return std::make_shared<const std::vector<std::byte>>(told.begin(), told.end());
}

}  // namespace

ClientProtocol::ClientProtocol(const ImageCatalog& catalog,
                               const std::vector<dnbd3::ServerEntry>& otherServers,
                               BlockStatistics& statistics)
    : catalog_(catalog), otherServers_(encodeServers(otherServers)), statistics_(statistics) {}

ClientProtocol::~ClientProtocol() {
  if (counters_) {
    --counters_->clients;
  }
}

bool ClientProtocol::receive(std::span<const std::byte> bytes, std::size_t& used) {
  used = 0;
  now_ = std::chrono::steady_clock::now();
  while (!queueFull()) {
    const auto rest = bytes.subspan(used);
    RequestHeader request;
    if (rest.size() < sizeof request) {
      return true;
    }
    std::memcpy(&request, rest.data(), sizeof request);
    const bool isBlock = request.command == static_cast<std::uint16_t>(Command::getBlock);
    const std::uint32_t payload = isBlock ? 0U : std::uint32_t{request.size};
    if (request.magic != dnbd3::kMagic || payload > dnbd3::kMaxRequestPayload) {
      return false;
    }
    if (rest.size() < sizeof request + payload) {
      return true;
    }
    statistics_.requestsCame(1);
    if (!handle(request, rest.subspan(sizeof request, payload))) {
      return false;
    }
    used += sizeof request + payload;
  }
  return true;
}

bool ClientProtocol::handle(const RequestHeader& request, std::span<const std::byte> payload) {
  const auto command = static_cast<Command>(static_cast<std::uint16_t>(request.command));
  if (!image_) {
    return command == Command::selectImage && select(request.handle, payload);
  }
  switch (command) {
    case Command::getBlock:
      queueBlock(request);
      break;
    case Command::keepAlive:
      queuePlain(command, request.handle);
      break;
    case Command::getServers:
      queuePlain(command, request.handle, otherServers_);
      break;
    case Command::getCrc32:
      queuePlain(command, request.handle, checksums());
      break;
    case Command::selectImage:  // only the first one counts
    case Command::error:
    case Command::latestRevision:
    case Command::setClientMode:
    default:
      break;  // no reply, also to what later versions may have added
  }
  return true;
}

bool ClientProtocol::select(std::uint64_t handle, std::span<const std::byte> payload) {
  const auto wanted = dnbd3::decodeSelectRequest(payload);
  if (!wanted || wanted->version < dnbd3::kLeastVersion) {
    return false;
  }
  auto found = catalog_.open(wanted->name, wanted->revision);
  if (!found) {
    return false;
  }
  image_ = std::make_unique<const ServedImage>(std::move(*found));
  counters_ = statistics_.countersOf(image_->image());
  ++counters_->clients;
  const dnbd3::SelectReply answer = {std::min(wanted->version, dnbd3::kVersion),
                                     image_->image().name, image_->image().revision,
                                     image_->servedSize()};
  // encode() makes a whole message; the queue keeps its header and payload apart.
  const dnbd3::Bytes message = dnbd3::encode(answer);
  queuePlain(Command::selectImage, handle,
             std::make_shared<const std::vector<std::byte>>(message.begin() + sizeof(ReplyHeader),
                                                            message.end()));
  return true;
}

void ClientProtocol::queueBlock(const RequestHeader& request) {
  ++counters_->requests;
  const std::uint64_t offset = request.offset();
  const std::uint64_t end = offset + request.size;  // cannot overflow: 56 bits + 32 bits
  if (offset >= image_->servedSize() || end > image_->servedSize()) {
    statistics_.requestFailed();
    queuePlain(Command::error, request.handle);
    return;
  }
  replies_.push_back({.header = replyHeader(Command::getBlock, request.handle, request.size),
                      .payload = nullptr,
                      .position = offset,
                      .remaining = request.size,
                      .arrived = now_});
}

void ClientProtocol::queuePlain(Command command, std::uint64_t handle, Payload payload) {
  const std::uint64_t size = payload ? payload->size() : 0;
  replies_.push_back({.header = replyHeader(command, handle, size),
                      .payload = std::move(payload),
                      .remaining = size,
                      .arrived = now_});
}

const ClientProtocol::Payload& ClientProtocol::checksums() {
  if (!checksums_) {
    checksums_ =
        std::make_shared<const std::vector<std::byte>>(readChecksumList(catalog_, *image_));
  }
  return checksums_;
}

std::optional<std::size_t> ClientProtocol::produce(std::span<std::byte> buffer) {
  std::size_t used = 0;
  while (!replies_.empty()) {
    Reply& reply = replies_.front();
    const std::size_t start = used;
    const bool isBeginning = !reply.headerSent;
    if (isBeginning) {
      if (buffer.size() - used < sizeof reply.header) {
        break;
      }
      used += sizeof reply.header;
    }
    const std::size_t length = std::min(reply.remaining, buffer.size() - used);
    if (!copyPiece(reply, buffer.subspan(used, length))) {
      statistics_.requestFailed();
      if (!isBeginning) {
        return std::nullopt;  // the client already waits for the rest of this reply
      }
      reply = {.header = replyHeader(Command::error, reply.header.handle, 0),
               .arrived = reply.arrived};
    } else {
      used += length;
    }
    if (isBeginning) {
      std::memcpy(buffer.data() + start, &reply.header, sizeof reply.header);
      reply.headerSent = true;
    }
    if (reply.remaining > 0) {
      break;
    }
    finishFront();
  }
  return used;
}

void ClientProtocol::finishFront() {
  statistics_.repliesSent(1, std::chrono::steady_clock::now() - replies_.front().arrived);
  replies_.pop_front();
}

bool ClientProtocol::copyPiece(Reply& reply, std::span<std::byte> into) const {
  if (reply.payload) {
    std::ranges::copy(std::span(*reply.payload).subspan(reply.position, into.size()), into.begin());
  } else if (const auto error = image_->read(into, reply.position)) {
    spdlog::error("cannot read {} at {}: {}", catalog_.pathOf(image_->image()).string(),
                  reply.position, error.message());
    return false;
  } else {
    statistics_.contentSent(into.size());
    counters_->bytes += into.size();
  }
  reply.position += into.size();
  reply.remaining -= into.size();
  return true;
}

}  // namespace netcow
