// SPDX-License-Identifier: Apache-2.0
#include "system/map_writer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "format/geometry.h"

namespace netcow::test {

void MapWriter::run() {
  const UniqueFd file(::open(state_.image.c_str(), O_RDWR | O_CLOEXEC));
  memory_.reset(::memfd_create("what goes into the map", MFD_CLOEXEC));
  const auto& area = state_.area.mapped;
  const std::size_t length = area.end - area.begin;
  void* const map = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(),
                           static_cast<off_t>(area.begin));
  if (!file || !memory_ || map == MAP_FAILED) {
    return state_.failed("mmap", errno);
  }
  while (!state_.stopping) {
    step(static_cast<std::byte*>(map));
  }
  ::munmap(map, length);
}

void MapWriter::step(std::byte* map) {
  const auto& area = state_.area.mapped;
  const std::uint64_t page =
      random_.between(0, (area.end - area.begin) / kBlockSize - 1) * kBlockSize;
  const std::uint64_t begin = random_.between(0, 7) * SectorOracle::kSector;
  std::vector<std::byte> bytes(random_.between(1, (kBlockSize - begin) / SectorOracle::kSector) *
                               SectorOracle::kSector);
  const std::uint64_t offset = area.begin + page + begin;
  fillStamps(bytes, offset, number_, ++operation_);
  const auto ticket = state_.oracle.begin(offset, bytes);
  state_.countBegun();
  int error = store(map + page + begin, bytes);
  if (error == 0 && ::msync(map + page, kBlockSize, MS_SYNC) != 0) {
    error = errno;
  }
  if (error != 0) {
    state_.oracle.giveUp(*ticket);
    return state_.failed("a write to the memory map", error);
  }
  state_.oracle.acknowledge(*ticket);
  state_.countAcknowledged();
}

int MapWriter::store(std::byte* to, std::span<const std::byte> bytes) const {
  if (::pwrite(memory_.get(), bytes.data(), bytes.size(), 0) !=
          static_cast<ssize_t>(bytes.size()) ||
      ::pread(memory_.get(), to, bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return errno == 0 ? EIO : errno;
  }
  return 0;
}

}  // namespace netcow::test
