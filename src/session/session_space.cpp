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
#include <vector>

#include "base/errors.h"
#include "session/piece.h"
#include "session/session_parts.h"

namespace netcow {

std::error_code Session::Parts::addWithoutSpace(const Piece& run, std::uint64_t place,
                                                std::vector<Piece>& found) const {
  std::uint64_t bytes = 0;
  if (const auto error = data.spaceIn(place + run.within, run.length, bytes)) {
    return error;
  }
  if (bytes == 0) {
    found.push_back(run);
  }
  if (bytes == 0 || bytes >= run.length || run.length <= kBlockSize) {
    return {};
  }
  const std::uint64_t half = roundUp(run.length / 2, kBlockSize);
  const auto error = addWithoutSpace({run.cluster, run.within, half}, place, found);
  return error ? error
               : addWithoutSpace({run.cluster, run.within + half, run.length - half}, place, found);
}

std::error_code Session::Parts::reserve(const Piece& piece, std::vector<Piece>& added) {
  const MutexLock lock(map->stripe(piece.cluster));
  Cluster* state = nullptr;
  if (const auto error = allocate(piece.cluster, state)) {
    return error;
  }
  if (const auto error =
          tables.save(piece.cluster, *state, state->loadBits(), state->dirty.load())) {
    return error;
  }
  std::uint64_t block = state->runEnd(piece.firstBlock(), piece.endBlock(), true);
  while (block < piece.endBlock()) {
    const std::uint64_t end = state->runEnd(block, piece.endBlock(), false);
    const Piece run{piece.cluster, block * kBlockSize, (end - block) * kBlockSize};
    if (const auto error = addWithoutSpace(run, placeOf(*state), added)) {
      return error;
    }
    block = state->runEnd(end, piece.endBlock(), true);
  }
  return data.reserve(placeOf(*state) + piece.within, piece.length);
}

std::error_code Session::Parts::spaceMissing(std::uint64_t begin, std::uint64_t end,
                                             std::uint64_t& bytes) const {
  bytes = end - begin;
  Space space;
  do {
    if (const auto error = findSpace(begin, end, space)) {
      return error;
    }
    bytes -= space.bytes;
  } while (space.bytes > 0);
  return {};
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
  std::uint64_t missing = 0;
  std::error_code error = parts_->spaceMissing(begin, end, missing);
  error = error ? error : parts_->data.checkRoom(missing);
  std::vector<Piece> added;
  std::uint64_t at = begin;
  while (at < end && !error) {
    const Piece piece = firstPiece(at, end - at);
    error = parts_->reserve(piece, added);
    at += piece.length;
  }
  if (error) {
    for (const Piece& piece : added) {
      parts_->giveBackReserved(piece);
    }
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

std::error_code Session::Parts::findSpace(std::uint64_t& offset, std::uint64_t end,
                                          Space& space) const {
  end = std::min(end, map->tableCount() * kTableSpan);
  space.bytes = 0;
  while (offset < end && space.bytes == 0) {
    if (map->table(offset / kTableSpan) == nullptr) {
      offset = roundDown(offset, kTableSpan) + kTableSpan;
      continue;
    }
    const Piece piece = firstPiece(offset, end - offset);
    offset += piece.length;
    const Cluster* const state = map->find(piece.cluster);
    if (state != nullptr && state->allocated()) {
      space.place = placeOf(*state) + piece.within;
      space.length = piece.length;
      if (const auto error = data.spaceIn(space.place, space.length, space.bytes)) {
        return error;
      }
    }
  }
  return {};
}

bool Session::holdsSpaceBehindEnd() const {
  std::uint64_t at = roundUp(imageSize(), kBlockSize);
  Parts::Space space;
  return !parts_->findSpace(at, parts_->spaceEnd, space) && space.bytes > 0;
}

std::error_code Session::releaseBehindEnd() {
  const std::uint64_t size =
      roundUp(std::max(imageSize(), parts_->header.largestSize()), kBlockSize);
  // Lowered first: what takes space there from now on raises it again.
  const std::uint64_t end = parts_->spaceEnd.exchange(size);
  const auto error = parts_->punchBetween(size, end);
  if (error) {
    parts_->spaceMayReach(end);
  }
  return error;
}

// Takes no lock of a cluster: what is written there at the same time is the late end of a write to
// what was cut off, and nobody can tell whether it came before or after.
std::error_code Session::Parts::punchBetween(std::uint64_t begin, std::uint64_t end) {
  // Neighbours go together: many small holes take a file system many times as long. It lets nobody
  // write to the file meanwhile, so not all at once.
  constexpr std::uint64_t kLongest = 100 * kClusterSize;
  Space pending;
  Space space;
  do {
    if (const auto error = findSpace(begin, end, space)) {
      return error;
    }
    const bool joins = space.bytes > 0 && space.place == pending.place + pending.length &&
                       pending.length < kLongest;
    if (joins) {
      pending.length += space.length;
      continue;
    }
    if (pending.length > 0) {
      if (const auto error = data.punch(pending.place, pending.length)) {
        return error;
      }
    }
    pending = space;
  } while (space.bytes > 0);
  return {};
}

// --- data and holes -------------------------------------------------------------------------

std::error_code Session::Parts::extentAt(std::uint64_t offset, std::uint64_t length,
                                         DataFile::Extent& extent) const {
  const std::uint64_t cluster = offset / kClusterSize;
  if (const Cluster* const state = map->find(cluster)) {
    const Piece piece = firstPiece(offset, length);
    const auto [local, end] = state->runFrom(piece.firstBlock(), piece.endBlock());
    length = (end - piece.firstBlock()) * kBlockSize;
    if (local) {
      return data.extentAt(placeOf(*state) + piece.within, length, extent);
    }
  } else {
    // A search through an image that is nearly empty does not look at each cluster.
    length = std::min(length, map->nextToLookAt(cluster) * kClusterSize - offset);
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
