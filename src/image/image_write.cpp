// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/errors.h"
#include "image/image_state.h"

namespace netcow {
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
  state_->startFills(write.newFills);
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

/// The size grows last: a write that finds the disk full leaves the image as long as it was, unless
/// it finds so only when a block that it covers in part has come.
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

void Image::State::startFills(Fills& newFills) {
  std::array<std::uint64_t, 2> blocks{};
  std::size_t count = 0;
  base.beginBatch();
  for (auto& fill : newFills) {
    if (fill != nullptr) {
      blocks.at(count++) = fill->block;
      startFill(std::move(fill));
    }
  }
  // Only now: nobody waits for the neighbours.
  for (std::size_t i = 0; i < count; ++i) {
    hintNeighbours(blocks.at(i));
  }
  base.endBatch();
}

/// Who writes to a part of a block often goes on with a part of one nearby.
void Image::State::hintNeighbours(std::uint64_t block) {
  const std::uint64_t begin = block * kBlockSize;
  const std::uint64_t end = std::min(begin + kBlockSize, visibleBase());
  if (begin < end) {
    base.willNeedNear(begin, end - begin);
  }
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

}  // namespace netcow
