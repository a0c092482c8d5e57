// SPDX-License-Identifier: Apache-2.0
#include "system/file_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "format/geometry.h"
#include "system/sector_buffer.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kSector = SectorOracle::kSector;
/// The front is so wide, and goes on by a block after so many places.
constexpr std::uint64_t kFrontWidth = 4 * kBlockSize;
constexpr std::uint64_t kPlacesABlock = 4;

/// 0, or why not everything was done.
int resultOf(ssize_t returned, std::size_t wanted) {
  if (returned < 0) {
    return errno;
  }
  return static_cast<std::size_t>(returned) == wanted ? 0 : EIO;
}

/// Lets a change of the size get its turn.
class BesideOthers {
 public:
  explicit BesideOthers(LoadState& state) NETCOW_NO_THREAD_SAFETY_ANALYSIS : state_(state) {
    state.turn.lock();
    state.sizeMutex.lock_shared();
    state.turn.unlock();
  }
  ~BesideOthers() NETCOW_NO_THREAD_SAFETY_ANALYSIS { state_.sizeMutex.unlock_shared(); }
  BesideOthers(const BesideOthers&) = delete;
  BesideOthers& operator=(const BesideOthers&) = delete;

 private:
  LoadState& state_;
};

}  // namespace

void FileWriter::run() {
  const int cachedFlags = state_.opens == LoadOpens::direct ? O_DIRECT : 0;
  cached_.reset(::open(state_.image.c_str(), O_RDWR | cachedFlags | O_CLOEXEC));
  direct_.reset(::open(state_.image.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
  if (!cached_ || !direct_) {
    return state_.failed("open", errno);
  }
  while (!state_.stopping) {
    step();
  }
}

void FileWriter::step() {
  const std::uint64_t choice = random_.between(0, 99);
  if (choice < 66) {
    write();
  } else if (choice < 86) {
    read();
  } else if (choice < 93) {
    punch();
  } else if (choice < 97) {
    sync();
  } else {
    resize();
  }
}

/// Jumps to another cluster now and then.
std::uint64_t FileWriter::frontIn(const SectorOracle::Range& range) {
  const std::uint64_t blocks = state_.places++ / kPlacesABlock;
  const std::uint64_t jumps = (blocks / 16) * (kBlocksPerCluster / 2 + 3);
  const std::uint64_t position = (state_.firstFront + jumps + blocks) * kBlockSize;
  return range.begin + position % (range.end - range.begin);
}

FileWriter::Place FileWriter::choosePlace() {
  const auto& ranges = state_.oracle.ranges();
  Place place{};
  place.direct = state_.opens == LoadOpens::direct || random_.oneIn(2);
  place.length = random_.oneIn(10) ? random_.between(1, 96 * 1024) : random_.between(1, 9'000);
  const bool atFront = !random_.oneIn(4);
  const auto& range = atFront ? ranges.back() : ranges[random_.between(0, ranges.size() - 1)];
  place.offset = atFront ? frontIn(range) + random_.between(0, kFrontWidth)
                         : random_.between(range.begin, range.end - 1);
  if (place.direct || random_.oneIn(2)) {
    place.offset = roundDown(place.offset, kSector);
    place.length = roundUp(place.length, kSector);
  }
  if (random_.oneIn(4)) {  // whole blocks need not be filled
    place.offset = roundDown(place.offset, kBlockSize);
    place.length = roundUp(place.length, kBlockSize);
  }
  if (place.offset < state_.area.mapped.end && place.end() > state_.area.mapped.begin) {
    place.offset += state_.area.mapped.end;
  }
  place.offset = std::min(place.offset, range.end - kSector);
  place.length = std::min(place.length, range.end - place.offset);
  return place;
}

template <class Change>
void FileWriter::tell(std::uint64_t offset, std::span<const std::byte> bytes,
                      const std::string& what, Change change) {
  const auto ticket = state_.oracle.begin(offset, bytes);
  if (!ticket) {
    return;  // somebody else is at work in one of these sectors
  }
  state_.countBegun();
  if (const int error = change()) {
    state_.oracle.giveUp(*ticket);
    return state_.failed(what, error);
  }
  state_.oracle.acknowledge(*ticket);
  state_.countAcknowledged();
}

void FileWriter::write() {
  const Place place = choosePlace();
  const SectorBuffer buffer(place.length);
  fillStamps(buffer.bytes(), place.offset, number_, ++operation_);
  {
    const BesideOthers lock(state_);
    if (place.end() <= state_.oracle.size()) {
      return send(place, buffer.bytes());
    }
  }
  if (place.end() <= state_.area.largest && random_.oneIn(3)) {
    const MutexLock turn(state_.turn);
    const WriterLock lock(state_.sizeMutex);
    send(place, buffer.bytes());
  }
}

void FileWriter::send(const Place& place, std::span<const std::byte> bytes) {
  tell(place.offset, bytes, "a write", [&] {
    const int fd = place.direct ? direct_.get() : cached_.get();
    return resultOf(::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(place.offset)),
                    bytes.size());
  });
}

void FileWriter::punch() {
  const Place place = choosePlace();
  const BesideOthers lock(state_);
  if (!state_.punches || place.end() > state_.oracle.size()) {
    return;
  }
  const std::vector<std::byte> zeros(place.length);
  tell(place.offset, zeros, "a punch", [&] {
    if (::fallocate(cached_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    static_cast<off_t>(place.offset), static_cast<off_t>(place.length)) == 0) {
      return 0;
    }
    if (errno != EOPNOTSUPP && errno != ENOSYS) {
      return errno;
    }
    // Not there: write the zeros, so that the oracle was told the truth.
    state_.punches = false;
    return resultOf(
        ::pwrite(cached_.get(), zeros.data(), zeros.size(), static_cast<off_t>(place.offset)),
        zeros.size());
  });
}

void FileWriter::read() {
  Place place = choosePlace();
  const std::uint64_t offset = roundDown(place.offset, kSector);
  const BesideOthers lock(state_);
  const std::uint64_t size = state_.oracle.size();
  if (offset >= size) {
    return;
  }
  const std::uint64_t length = std::min(roundUp(place.length, kSector), size - offset);
  const SectorBuffer buffer(roundUp(length, kSector));
  const SectorOracle::Reading reading = state_.oracle.beginRead(offset, length);
  const ssize_t got = ::pread(place.direct ? direct_.get() : cached_.get(), buffer.data(),
                              buffer.bytes().size(), static_cast<off_t>(offset));
  if (const int error = resultOf(got, length)) {
    return state_.failed("a read", error);
  }
  const std::string problem = state_.oracle.endRead(reading, buffer.bytes().first(length));
  EXPECT_EQ(problem, "") << "read while others write, " << (place.direct ? "direct" : "cached");
}

void FileWriter::sync() {
  state_.countBegun();
  const int fd = random_.oneIn(2) ? direct_.get() : cached_.get();
  if ((random_.oneIn(2) ? ::fsync(fd) : ::fdatasync(fd)) != 0) {
    return state_.failed("fsync", errno);
  }
  state_.countAcknowledged();
}

/// Mostly near the largest size: what is cut off of the base never comes back.
std::uint64_t FileWriter::chooseSize() {
  const LoadArea& area = state_.area;
  if (random_.oneIn(200)) {
    return random_.between(area.smallest, area.largest);
  }
  const auto& range = state_.oracle.ranges().back();
  return random_.between(range.begin + (range.end - range.begin) / 2, area.largest);
}

void FileWriter::resize() {
  const std::uint64_t size = chooseSize();
  const MutexLock turn(state_.turn);
  const WriterLock lock(state_.sizeMutex);
  state_.oracle.beginResize(size);
  state_.countBegun();
  if (::ftruncate(cached_.get(), static_cast<off_t>(size)) != 0) {
    return state_.failed("ftruncate", errno);
  }
  state_.oracle.acknowledgeResize();
  state_.countAcknowledged();
}

}  // namespace netcow::test
