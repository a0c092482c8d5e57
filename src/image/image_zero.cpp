// SPDX-License-Identifier: Apache-2.0
//
// Zeros, space and holes of the image.
//
// A range of zeros is taken apart like a write: whole blocks go to the session, the parts of blocks
// at both ends are writes of zeros, and wait for the rest of their blocks as other writes do. The
// size lock is let go of after each table, so that a change of size never waits for a large range.
// What lies behind the end reads as zeros whenever the image grows, so the last block counts as
// covered whole when the range reaches the end.
#include <algorithm>
#include <array>
#include <cerrno>

#include "base/errors.h"
#include "image/image_state.h"

namespace netcow {
namespace {

constexpr std::array<std::byte, kBlockSize> kZeros{};

}  // namespace

void Image::zero(std::uint64_t offset, std::uint64_t length, bool keepSize, Completion done) {
  const std::uint64_t end = offset + length;
  if (!writable()) {
    done(errnoCode(EROFS));
    return;
  }
  if (end < offset || (!keepSize && end > maxSize())) {
    done(errnoCode(EFBIG));
    return;
  }
  const auto operation = std::make_shared<PendingOperation>(std::move(done));
  std::error_code error = state_->zeroInside(offset, end, operation);
  if (!error && !keepSize && length > 0) {
    error = state_->growToAtLeast(end);
  }
  operation->report(error);
}

std::error_code Image::State::zeroInside(std::uint64_t begin, std::uint64_t end,
                                         const std::shared_ptr<PendingOperation>& operation) {
  while (begin < end && begin < session->imageSize()) {
    const std::uint64_t next = std::min(end, roundDown(begin, kTableSpan) + kTableSpan);
    Fills newFills;
    std::error_code error;
    {
      const ReaderLock lock(sizeMutex);
      error = zeroPart(begin, next, operation, newFills);
    }
    startFills(newFills);
    if (error) {
      return error;
    }
    begin = next;
  }
  return {};
}

std::error_code Image::State::zeroPart(std::uint64_t begin, std::uint64_t end,
                                       const std::shared_ptr<PendingOperation>& operation,
                                       Fills& newFills) {
  const std::uint64_t size = session->imageSize();
  if (begin >= size) {
    return {};
  }
  end = end >= size ? roundUp(size, kBlockSize) : end;
  const std::uint64_t firstWhole = std::min(end, roundUp(begin, kBlockSize));
  const std::uint64_t lastWhole = std::max(firstWhole, roundDown(end, kBlockSize));
  std::error_code error = zeroPartOfBlock(begin, firstWhole, operation, newFills[0]);
  if (!error && lastWhole > firstWhole) {
    error = session->zero(firstWhole, lastWhole - firstWhole);
  }
  return error ? error : zeroPartOfBlock(lastWhole, end, operation, newFills[1]);
}

std::error_code Image::State::zeroPartOfBlock(std::uint64_t begin, std::uint64_t end,
                                              const std::shared_ptr<PendingOperation>& operation,
                                              std::shared_ptr<BlockFill>& newFill) {
  const std::uint64_t block = begin / kBlockSize;
  const bool zeroAlready = !session->isLocal(block) && block * kBlockSize >= visibleBase();
  if (begin >= end || zeroAlready) {
    return {};
  }
  Write write{std::span(kZeros).first(end - begin),
              begin,
              [operation](const std::error_code& error) { operation->report(error); },
              {},
              {}};
  const auto error = beginWrite(write);
  newFill = std::move(write.newFills[0]);
  return error;
}

std::error_code Image::reserve(std::uint64_t offset, std::uint64_t length, bool keepSize) {
  const std::uint64_t end = offset + length;
  if (!writable()) {
    return errnoCode(EROFS);
  }
  if (end < offset || end > maxSize()) {
    return errnoCode(EFBIG);
  }
  if (length == 0) {
    return {};
  }
  if (const auto error = state_->session->reserve(offset, length)) {
    return error;
  }
  return keepSize ? std::error_code{} : state_->growToAtLeast(end);
}

// --- data and holes -------------------------------------------------------------------------

std::error_code Image::findData(std::uint64_t offset, std::uint64_t& found) {
  const ReaderLock lock(state_->sizeMutex);
  const std::uint64_t size = state_->size();
  if (offset >= size) {
    return errnoCode(ENXIO);
  }
  found = offset;
  if (writable()) {
    if (const auto error = state_->session->findData(offset, size, found)) {
      return error;
    }
  }
  return found < size ? std::error_code{} : errnoCode(ENXIO);
}

std::error_code Image::findHole(std::uint64_t offset, std::uint64_t& found) {
  const ReaderLock lock(state_->sizeMutex);
  const std::uint64_t size = state_->size();
  if (offset >= size) {
    return errnoCode(ENXIO);
  }
  found = size;
  return writable() ? state_->session->findHole(offset, size, found) : std::error_code{};
}

}  // namespace netcow
