// SPDX-License-Identifier: Apache-2.0
#include "session/data_file.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/errors.h"
#include "format/geometry.h"

namespace netcow {

std::error_code DataFile::allocate(std::int64_t& offset) {
  const MutexLock lock(mutex_);
  const std::uint64_t end = static_cast<std::uint64_t>(nextOffset_) + kClusterSize;
  if (fileBytes_ < end) {
    const auto error = file_.resize(end);
    // An entry without local blocks points here too: no checkpoint may name a place behind the end.
    unsynced_.store(true);
    if (error) {
      return error;
    }
    fileBytes_ = end;
  }
  offset = nextOffset_;
  nextOffset_ += static_cast<std::int64_t>(kClusterSize);
  return {};
}

std::int64_t DataFile::nextOffset() const {
  const MutexLock lock(mutex_);
  return nextOffset_;
}

std::error_code DataFile::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  if (const auto error = limit_.admit(offset, bytes.size())) {
    return error;
  }
  const auto error = file_.write(bytes, offset);
  // After the write and before it is acknowledged: a checkpoint asked for later sees it.
  unsynced_.store(true);
  return error;
}

std::error_code DataFile::zero(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t end = offset + length;
  const std::uint64_t firstWhole = std::min(end, roundUp(offset, kBlockSize));
  const std::uint64_t lastWhole = std::max(firstWhole, roundDown(end, kBlockSize));
  const std::vector<std::byte> zeros(kBlockSize);
  if (firstWhole > offset) {
    if (const auto error = write(std::span(zeros).first(firstWhole - offset), offset)) {
      return error;
    }
  }
  if (lastWhole > firstWhole) {
    if (const auto error = punch(firstWhole, lastWhole - firstWhole)) {
      return error;
    }
  }
  if (end > lastWhole) {
    return write(std::span(zeros).first(end - lastWhole), lastWhole);
  }
  return {};
}

std::error_code DataFile::punch(std::uint64_t offset, std::uint64_t length) {
  const auto error = file_.punch(offset, length);
  unsynced_.store(true);
  return error;
}

std::error_code DataFile::checkRoom(std::uint64_t newBytes) const {
  std::uint64_t free = 0;
  if (const auto error = file_.freeBytes(free)) {
    return error;
  }
  return newBytes > free ? errnoCode(ENOSPC) : limit_.check(newBytes);
}

std::error_code DataFile::reserve(std::uint64_t offset, std::uint64_t length) {
  if (const auto error = limit_.admit(offset, length)) {
    return error;
  }
  const auto error = file_.reserve(offset, length);
  unsynced_.store(true);
  return error;
}

std::error_code DataFile::extentAt(std::uint64_t offset, std::uint64_t length,
                                   Extent& extent) const {
  std::uint64_t data = 0;
  if (const auto error = file_.findData(offset, data)) {
    return error;
  }
  // A block that holds a hole and data is data.
  const std::uint64_t dataBlock = roundDown(std::min(data, offset + length), kBlockSize);
  extent = {false, dataBlock - offset};
  if (extent.length > 0) {
    return {};
  }
  std::uint64_t hole = 0;
  if (const auto error = file_.findHole(data, hole)) {
    return error;
  }
  extent = {true, std::min(roundUp(hole, kBlockSize) - offset, length)};
  return {};
}

std::error_code DataFile::sync() {
  unsynced_.store(false);
  return file_.sync();
}

}  // namespace netcow
