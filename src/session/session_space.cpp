// SPDX-License-Identifier: Apache-2.0
// What a session takes on the disk, and where it holds data.
//
// A cluster may have a place in `data` without a local block: reserve() gives it one, so that the
// space has an owner. Nobody reads such a place, and no upload carries it.
//
// Space behind the end of the image is given back only when no power cut can bring the size back:
// else what was acknowledged by an fsync would read as zeros then. HeaderState::largestSize() knows
// which sizes still can come back.
#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "session/piece.h"
#include "session/session_parts.h"

namespace netcow {

std::error_code Session::Parts::reserve(const Piece& piece) {
  const MutexLock lock(map->stripe(piece.cluster));
  Cluster* state = nullptr;
  if (const auto error = allocate(piece.cluster, state)) {
    return error;
  }
  if (const auto error =
          tables.save(piece.cluster, *state, state->loadBits(), state->dirty.load())) {
    return error;
  }
  return data.reserve(placeOf(*state) + piece.within, piece.length);
}

void Session::Parts::giveBackReserved(const Piece& piece) {
  const MutexLock lock(map->stripe(piece.cluster));
  Cluster* const state = map->find(piece.cluster);
  if (state == nullptr || !state->allocated()) {
    return;
  }
  std::uint64_t block = state->runEnd(piece.firstBlock(), piece.endBlock(), true);
  while (block < piece.endBlock()) {
    const std::uint64_t end = state->runEnd(block, piece.endBlock(), false);
    // When this fails, space is taken that nobody uses: no more.
    static_cast<void>(data.punch(placeOf(*state) + block * kBlockSize, (end - block) * kBlockSize));
    block = state->runEnd(end, piece.endBlock(), true);
  }
}

std::error_code Session::reserve(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t most = roundUp(maxImageSize(), kBlockSize);
  if (offset > most || length > most - offset) {
    return errnoCode(EFBIG);
  }
  const std::uint64_t begin = roundDown(offset, kBlockSize);
  const std::uint64_t end = roundUp(offset + length, kBlockSize);
  parts_->spaceMayReach(end);
  std::error_code error;
  std::uint64_t at = begin;
  while (at < end && !error) {
    const Piece piece = firstPiece(at, end - at);
    error = parts_->reserve(piece);
    at += piece.length;
  }
  for (std::uint64_t undo = begin; error && undo < at;) {
    const Piece piece = firstPiece(undo, at - undo);
    parts_->giveBackReserved(piece);
    undo += piece.length;
  }
  return error;
}

void Session::limitLocal(std::uint64_t bytes) {
  parts_->data.limitTo(bytes);
}

// --- behind the end -------------------------------------------------------------------------

void Session::Parts::spaceMayReach(std::uint64_t end) {
  std::uint64_t known = spaceEnd.load();
  while (known < end && !spaceEnd.compare_exchange_weak(known, end)) {
  }
}

template <class Visit>
std::error_code Session::Parts::visitSpaceFrom(std::uint64_t begin, Visit visit) {
  const std::uint64_t end = std::min(spaceEnd.load(), map->tableCount() * kTableSpan);
  while (begin < end) {
    const Piece piece = firstPiece(begin, end - begin);
    const Table* const table = map->table(begin / kTableSpan);
    if (table == nullptr) {
      begin = roundDown(begin, kTableSpan) + kTableSpan;
      continue;
    }
    begin += piece.length;
    const MutexLock lock(map->stripe(piece.cluster));
    const Cluster& state = *map->find(piece.cluster);
    std::uint64_t bytes = 0;
    if (!state.allocated()) {
      continue;
    }
    const std::uint64_t place = placeOf(state) + piece.within;
    if (const auto error = data.spaceIn(place, piece.length, bytes)) {
      return error;
    }
    if (bytes > 0) {
      if (const auto error = visit(place, piece.length)) {
        return error;
      }
    }
  }
  return {};
}

bool Session::holdsSpaceBehindEnd() const {
  const std::uint64_t begin = roundUp(imageSize(), kBlockSize);
  // An error ends the look at the first place that holds something.
  return static_cast<bool>(parts_->visitSpaceFrom(
      begin, [](std::uint64_t, std::uint64_t) { return errnoCode(EEXIST); }));
}

std::error_code Session::releaseBehindEnd() {
  const std::uint64_t size = std::max(imageSize(), parts_->header.largestSize());
  const auto error = parts_->visitSpaceFrom(
      roundUp(size, kBlockSize),
      [this](std::uint64_t at, std::uint64_t n) { return parts_->data.punch(at, n); });
  if (!error) {
    parts_->spaceEnd.store(size);
  }
  return error;
}

// --- data and holes -------------------------------------------------------------------------

std::error_code Session::Parts::extentAt(std::uint64_t offset, std::uint64_t length,
                                         DataFile::Extent& extent) const {
  if (const Cluster* const state = map->find(offset / kClusterSize)) {
    const Piece piece = firstPiece(offset, length);
    const bool local = state->isLocal(piece.firstBlock());
    const std::uint64_t end = state->runEnd(piece.firstBlock(), piece.endBlock(), local);
    length = (end - piece.firstBlock()) * kBlockSize;
    if (local) {
      return data.extentAt(placeOf(*state) + piece.within, length, extent);
    }
  } else {
    length = std::min(length, kTableSpan - offset % kTableSpan);
  }
  const std::uint64_t visible = roundUp(header.validRemoteSize(), kBlockSize);
  extent.data = offset < visible;
  extent.length = extent.data ? std::min(length, visible - offset) : length;
  return {};
}

std::error_code Session::Parts::find(bool wanted, std::uint64_t offset, std::uint64_t end,
                                     std::uint64_t& found) const {
  std::uint64_t at = roundDown(offset, kBlockSize);
  while (at < end) {
    DataFile::Extent extent;
    if (const auto error = extentAt(at, roundUp(end, kBlockSize) - at, extent)) {
      return error;
    }
    if (extent.data == wanted) {
      break;
    }
    at += extent.length;
  }
  found = std::clamp(at, offset, end);
  return {};
}

std::error_code Session::findData(std::uint64_t offset, std::uint64_t end,
                                  std::uint64_t& found) const {
  return parts_->find(true, offset, end, found);
}

std::error_code Session::findHole(std::uint64_t offset, std::uint64_t end,
                                  std::uint64_t& found) const {
  return parts_->find(false, offset, end, found);
}

}  // namespace netcow
