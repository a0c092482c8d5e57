// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>

#include "image/image_state.h"

namespace netcow {
namespace {

void addRemote(std::vector<RemotePart>& parts, std::span<std::byte> buffer, std::uint64_t offset) {
  if (!parts.empty()) {
    RemotePart& last = parts.back();
    if (last.offset + last.buffer.size() == offset) {
      last.buffer = {last.buffer.data(), last.buffer.size() + buffer.size()};
      return;
    }
  }
  parts.push_back({buffer, offset});
}

}  // namespace

void Image::read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) {
  std::vector<RemotePart> remote;
  std::error_code error;
  {
    const ReaderLock lock(state_->sizeMutex);
    const std::uint64_t size = state_->size();
    const std::uint64_t inside = offset < size ? std::min(buffer.size(), size - offset) : 0;
    const auto behindEnd = buffer.subspan(inside);
    std::fill(behindEnd.begin(), behindEnd.end(), std::byte{0});
    error = state_->readLocal(buffer.first(inside), offset, remote);
  }
  if (error || remote.empty()) {
    done(error);
    return;
  }
  if (remote.size() == 1) {
    state_->base.read(remote.front().buffer, remote.front().offset, std::move(done));
    return;
  }
  const auto operation = std::make_shared<PendingOperation>(std::move(done));
  for (const RemotePart& part : remote) {
    state_->base.read(part.buffer, part.offset, [operation](const std::error_code& partError) {
      operation->report(partError);
    });
  }
}

std::error_code Image::State::readLocal(std::span<std::byte> buffer, std::uint64_t offset,
                                        std::vector<RemotePart>& remote) {
  if (session == nullptr) {
    readNotLocal(buffer, offset, remote);
    return {};
  }
  while (!buffer.empty()) {
    const Session::Run run = session->runAt(offset, buffer.size());
    const auto part = buffer.first(run.length);
    if (run.local) {
      if (const auto error = session->readData(part, run.dataOffset)) {
        return error;
      }
    } else {
      readNotLocal(part, offset, remote);
    }
    buffer = buffer.subspan(run.length);
    offset += run.length;
  }
  return {};
}

void Image::State::readNotLocal(std::span<std::byte> buffer, std::uint64_t offset,
                                std::vector<RemotePart>& remote) const {
  const std::uint64_t end = visibleBase();
  const std::uint64_t fromBase = offset < end ? std::min(buffer.size(), end - offset) : 0;
  if (fromBase > 0) {
    addRemote(remote, buffer.first(fromBase), offset);
  }
  const auto zeros = buffer.subspan(fromBase);
  std::fill(zeros.begin(), zeros.end(), std::byte{0});
}

}  // namespace netcow
