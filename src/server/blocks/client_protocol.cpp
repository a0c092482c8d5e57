// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/client_protocol.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

namespace netcow {

using dnbd3::Command;
using dnbd3::ReplyHeader;
using dnbd3::RequestHeader;

ReplyQueue::Payload BlockService::encodeServers(const std::vector<dnbd3::ServerEntry>& servers) {
  const auto bytes = std::as_bytes(std::span(servers));
  const std::size_t most = dnbd3::kMaxServerEntries * sizeof(dnbd3::ServerEntry);
  const auto told = bytes.first(std::min(bytes.size(), most));
  return std::make_shared<const std::vector<std::byte>>(told.begin(), told.end());
}

ClientProtocol::~ClientProtocol() {
  if (counters_) {
    --counters_->clients;
  }
}

ClientProtocol::Taken ClientProtocol::receive(std::span<const std::byte> bytes, std::size_t& used,
                                              DiskAccess access) {
  used = 0;
  now_ = std::chrono::steady_clock::now();
  while (replies_.room() > 0) {
    const auto rest = bytes.subspan(used);
    RequestHeader request;
    if (rest.size() < sizeof request) {
      return Taken::whole;
    }
    std::memcpy(&request, rest.data(), sizeof request);
    const bool isBlock = request.command == static_cast<std::uint16_t>(Command::getBlock);
    const std::uint32_t payload = isBlock ? 0U : std::uint32_t{request.size};
    if (request.magic != dnbd3::kMagic || payload > dnbd3::kMaxRequestPayload) {
      return Taken::broken;
    }
    if (rest.size() < sizeof request + payload) {
      return Taken::whole;
    }
    const Taken taken = handle(request, rest.subspan(sizeof request, payload), access);
    if (taken != Taken::whole) {
      return taken;
    }
    service_.statistics.requestsCame(1);
    used += sizeof request + payload;
  }
  return Taken::whole;
}

ClientProtocol::Taken ClientProtocol::handle(const RequestHeader& request,
                                             std::span<const std::byte> payload,
                                             DiskAccess access) {
  const auto command = static_cast<Command>(static_cast<std::uint16_t>(request.command));
  if (!image_ && command != Command::selectImage) {
    return Taken::broken;
  }
  const bool needsDisk = !image_ || command == Command::getCrc32;
  if (needsDisk && access == DiskAccess::cachedOnly) {
    return Taken::needsDisk;
  }
  if (!image_) {
    return select(request.handle, payload) ? Taken::whole : Taken::broken;
  }
  switch (command) {
    case Command::getBlock:
      queueBlock(request);
      break;
    case Command::keepAlive:
      replies_.addPlain(command, request.handle, nullptr, now_);
      break;
    case Command::getServers:
      replies_.addPlain(command, request.handle, service_.otherServers, now_);
      break;
    case Command::getCrc32:
      replies_.addPlain(command, request.handle, checksums(), now_);
      break;
    case Command::selectImage:  // only the first one counts
    case Command::error:
    case Command::latestRevision:
    case Command::setClientMode:
    default:
      break;  // no reply, also to what later versions may have added
  }
  return Taken::whole;
}

bool ClientProtocol::select(std::uint64_t handle, std::span<const std::byte> payload) {
  const auto wanted = dnbd3::decodeSelectRequest(payload);
  if (!wanted || wanted->version < dnbd3::kLeastVersion) {
    return false;
  }
  auto found = service_.catalog.open(wanted->name, wanted->revision);
  if (!found) {
    return false;
  }
  image_ = std::make_unique<const ServedImage>(std::move(*found));
  counters_ = service_.statistics.countersOf(image_->image());
  ++counters_->clients;
  const dnbd3::SelectReply answer = {std::min(wanted->version, dnbd3::kVersion),
                                     image_->image().name, image_->image().revision,
                                     image_->servedSize()};
  // encode() makes a whole message; the queue keeps its header and payload apart.
  const dnbd3::Bytes message = dnbd3::encode(answer);
  replies_.addPlain(Command::selectImage, handle,
                    std::make_shared<const std::vector<std::byte>>(
                        message.begin() + sizeof(ReplyHeader), message.end()),
                    now_);
  return true;
}

void ClientProtocol::queueBlock(const RequestHeader& request) {
  ++counters_->requests;
  const std::uint64_t offset = request.offset();
  const std::uint64_t end = offset + request.size;  // cannot overflow: 56 bits + 32 bits
  if (offset >= image_->servedSize() || end > image_->servedSize()) {
    service_.statistics.requestFailed();
    replies_.addPlain(Command::error, request.handle, nullptr, now_);
    return;
  }
  replies_.addContent(request.handle, offset, request.size, now_);
}

ReplyQueue::Payload ClientProtocol::checksums() {
  auto list = checksums_.lock();
  if (!list) {
    list = std::make_shared<const std::vector<std::byte>>(service_.checksums.read(*image_));
    checksums_ = list;
  }
  return list;
}

void ClientProtocol::sent(std::size_t length) {
  const std::uint64_t content = replies_.sent(length);
  if (content > 0) {
    service_.statistics.contentSent(content);
    counters_->bytes += content;
  }
}

}  // namespace netcow
