// SPDX-License-Identifier: Apache-2.0
//
// The writable image. A block is local (the session has it), or it lies below validRemoteSize and
// the base has it, or it is zeros.
//
// A read is split into runs of one kind; local runs and zeros are answered at once, and what the
// base has is asked for after all locks are released. A write goes to the session as it is, but
// for a first or last block that it covers in part and that is not local: such a part waits for
// the rest of its block (a fill). When the rest arrives, it goes to the session only if the block
// is still not local; if another write made it local meanwhile, the waiting parts are written over
// that one. So a fill never undoes a write, whatever the order.
//
// Sizes: reads, writes and the ends of fills hold the size lock shared, changes of size hold it
// alone. It is never held while waiting for the base. validRemoteSize only falls, so a fill that
// was asked for before a shrink cuts what it got to the value of now.
#include "image/image.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/errors.h"
#include "base/mutex.h"
#include "image/block_fills.h"
#include "image/pending_operation.h"

namespace netcow {
namespace {

/// A range that only the base can answer.
struct RemotePart {
  std::span<std::byte> buffer;
  std::uint64_t offset = 0;
};

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

struct Image::State {
  State(Source& imageBase, Session* imageSession) : base(imageBase), session(imageSession) {}

  Source& base;
  Session* const session;
  SharedMutex sizeMutex;
  BlockFills fills;

  [[nodiscard]] std::uint64_t size() const {
    return session != nullptr ? session->imageSize() : base.size();
  }
  /// Bytes of the base still visible; a session never shows more than the base has.
  [[nodiscard]] std::uint64_t visibleBase() const {
    return session != nullptr ? std::min(session->validRemoteSize(), base.size()) : base.size();
  }

  std::error_code readLocal(std::span<std::byte> buffer, std::uint64_t offset,
                            std::vector<RemotePart>& remote) NETCOW_REQUIRES_SHARED(sizeMutex);
  void readNotLocal(std::span<std::byte> buffer, std::uint64_t offset,
                    std::vector<RemotePart>& remote) const;
  std::error_code growTo(std::uint64_t end) NETCOW_REQUIRES(sizeMutex);
  std::error_code zeroBehindEnd(std::uint64_t end) NETCOW_REQUIRES(sizeMutex);
  /// One write on its way.
  struct Write {
    std::span<const std::byte> bytes;
    std::uint64_t offset;
    Completion done;                              ///< unless it became part of `operation`
    std::shared_ptr<PendingOperation> operation;  ///< if it has to wait for a fill
    std::array<std::shared_ptr<BlockFill>, 2> newFills;
  };
  std::error_code beginWrite(Write& write) NETCOW_REQUIRES_SHARED(sizeMutex);
  std::error_code beginGrowingWrite(Write& write) NETCOW_REQUIRES(sizeMutex);
  void startFill(std::shared_ptr<BlockFill> fill);
  void finishFill(BlockFill& fill, const std::error_code& readError);
  std::error_code storeFill(BlockFill& fill, const std::vector<PartialWrite>& writes)
      NETCOW_REQUIRES_SHARED(sizeMutex);
};

Image::Image(Source& base, Session* session) : state_(std::make_unique<State>(base, session)) {}

Image::~Image() = default;

bool Image::writable() const {
  return state_->session != nullptr;
}

std::uint64_t Image::size() const {
  return state_->size();
}

std::uint64_t Image::maxSize() const {
  return writable() ? state_->session->maxImageSize() : size();
}

std::error_code Image::flush() {
  return writable() ? state_->session->checkpoint() : std::error_code{};
}

// --- reading --------------------------------------------------------------------------------

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

// --- writing --------------------------------------------------------------------------------

namespace {

/// What a write of [offset, offset + length) does to whole blocks and to parts of blocks.
struct WriteSplit {
  std::uint64_t directBegin;  ///< the bytes in between go to the session as they are
  std::uint64_t directEnd;
  std::array<std::uint64_t, 2> parts;  ///< blocks that have to be filled first
  std::size_t partCount = 0;
};

WriteSplit splitWrite(const Session& session, std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t end = offset + length;
  WriteSplit split{offset, end, {}, 0};
  const std::uint64_t first = offset / kBlockSize;
  const std::uint64_t last = (end - 1) / kBlockSize;
  const bool firstInPart = offset % kBlockSize != 0 || end < (first + 1) * kBlockSize;
  if (firstInPart && !session.isLocal(first)) {
    split.parts[split.partCount++] = first;
    split.directBegin = std::min(end, (first + 1) * kBlockSize);
  }
  if (last != first && end % kBlockSize != 0 && !session.isLocal(last)) {
    split.parts[split.partCount++] = last;
    split.directEnd = last * kBlockSize;
  }
  return split;
}

}  // namespace

void Image::write(std::span<const std::byte> bytes, std::uint64_t offset, Completion done) {
  if (!writable()) {
    done(errnoCode(EROFS));
    return;
  }
  const std::uint64_t end = offset + bytes.size();
  if (end > maxSize() || end < offset) {
    done(errnoCode(EFBIG));
    return;
  }
  if (bytes.empty()) {
    done({});
    return;
  }
  State::Write write{bytes, offset, std::move(done), {}, {}};
  std::error_code error;
  bool begun = false;
  {
    const ReaderLock lock(state_->sizeMutex);
    begun = end <= state_->session->imageSize();
    if (begun) {
      error = state_->beginWrite(write);
    }
  }
  if (!begun) {
    const WriterLock lock(state_->sizeMutex);
    error = state_->beginGrowingWrite(write);
  }
  if (write.operation == nullptr) {
    write.done(error);
    return;
  }
  write.operation->report(error);
  for (auto& fill : write.newFills) {
    if (fill != nullptr) {
      state_->startFill(std::move(fill));
    }
  }
}

/// What can be done at once is done; `newFills` are the caller's to start without the lock.
std::error_code Image::State::beginWrite(Write& write) {
  const std::uint64_t end = write.offset + write.bytes.size();
  const WriteSplit split = splitWrite(*session, write.offset, write.bytes.size());
  if (split.partCount > 0) {
    write.operation = std::make_shared<PendingOperation>(std::move(write.done));
  }
  for (std::size_t i = 0; i < split.partCount; ++i) {
    const std::uint64_t begin = split.parts[i] * kBlockSize;
    const std::uint64_t from = std::max(write.offset, begin);
    const std::uint64_t to = std::min(end, begin + kBlockSize);
    const auto part = write.bytes.subspan(from - write.offset, to - from);
    write.newFills[i] = fills.join(split.parts[i], {part, from - begin, write.operation});
  }
  if (split.directBegin >= split.directEnd) {
    return {};
  }
  return session->write(
      write.bytes.subspan(split.directBegin - write.offset, split.directEnd - split.directBegin),
      split.directBegin);
}

/// The size grows last: a write that finds the disk full leaves the image as long as it was.
std::error_code Image::State::beginGrowingWrite(Write& write) {
  const std::uint64_t end = write.offset + write.bytes.size();
  if (const auto error = zeroBehindEnd(end)) {
    return error;
  }
  if (const auto error = beginWrite(write)) {
    return error;
  }
  const std::uint64_t size = std::max(end, session->imageSize());
  return session->setSizes(size, session->validRemoteSize());
}

void Image::State::startFill(std::shared_ptr<BlockFill> fill) {
  const std::uint64_t begin = fill->block * kBlockSize;
  const std::uint64_t end = visibleBase();
  fill->baseBytes = begin < end ? std::min(kBlockSize, end - begin) : 0;
  if (fill->baseBytes == 0) {
    finishFill(*fill, {});
    return;
  }
  const std::span<std::byte> content(fill->content, fill->baseBytes);
  base.read(content, begin, [this, fill = std::move(fill)](const std::error_code& error) {
    finishFill(*fill, error);
  });
}

void Image::State::finishFill(BlockFill& fill, const std::error_code& readError) {
  const std::vector<PartialWrite> writes = fills.finish(fill);
  std::error_code error = readError;
  if (!error) {
    const ReaderLock lock(sizeMutex);
    error = storeFill(fill, writes);
  }
  for (const PartialWrite& write : writes) {
    write.operation->report(error);
  }
}

std::error_code Image::State::storeFill(BlockFill& fill, const std::vector<PartialWrite>& writes) {
  const std::uint64_t begin = fill.block * kBlockSize;
  const std::uint64_t visible = visibleBase();
  const std::uint64_t kept = begin < visible ? std::min(fill.baseBytes, visible - begin) : 0;
  std::memset(fill.content + kept, 0, kBlockSize - kept);
  for (const PartialWrite& write : writes) {
    std::memcpy(fill.content + write.within, write.bytes.data(), write.bytes.size());
  }
  bool filled = false;
  if (const auto error = session->fill(fill.block, fill.content, filled)) {
    return error;
  }
  for (const PartialWrite& write : writes) {
    if (filled) {
      break;
    }
    if (const auto error = session->write(write.bytes, begin + write.within)) {
      return error;
    }
  }
  return {};
}

// --- size -----------------------------------------------------------------------------------

/// What lay there before a shrink must not come back.
std::error_code Image::State::zeroBehindEnd(std::uint64_t end) {
  const std::uint64_t size = session->imageSize();
  return end > size ? session->zeroLocal(size, end - size) : std::error_code{};
}

std::error_code Image::State::growTo(std::uint64_t end) {
  if (const auto error = zeroBehindEnd(end)) {
    return error;
  }
  return session->setSizes(end, session->validRemoteSize());
}

std::error_code Image::resize(std::uint64_t size) {
  if (!writable()) {
    return errnoCode(EROFS);
  }
  if (size > maxSize()) {
    return errnoCode(EFBIG);
  }
  const WriterLock lock(state_->sizeMutex);
  Session& session = *state_->session;
  if (size >= session.imageSize()) {
    return state_->growTo(size);
  }
  return session.setSizes(size, std::min(session.validRemoteSize(), size));
}

}  // namespace netcow
