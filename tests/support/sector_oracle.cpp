// SPDX-License-Identifier: Apache-2.0
#include "support/sector_oracle.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace netcow::test {
namespace {

constexpr std::uint64_t kSector = SectorOracle::kSector;
/// Linux may hand a long write on in parts, which end between its pages.
constexpr std::uint64_t kPage = 4096;
constexpr std::size_t kText = 80;  // of a stamp's bytes, for people

/// A good mix of 64 bits (SplitMix64), so that no two stamps look alike.
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15U;
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31U);
}

std::array<std::byte, kSector> stamp(std::uint64_t writer, std::uint64_t operation,
                                     std::uint64_t sector) {
  std::array<std::byte, kSector> bytes{};
  std::array<char, kText> text{};
  const int length = std::snprintf(
      text.data(), text.size(), "writer %llu operation %llu sector %llu.",
      static_cast<unsigned long long>(writer), static_cast<unsigned long long>(operation),
      static_cast<unsigned long long>(sector));
  std::memcpy(bytes.data(), text.data(), static_cast<std::size_t>(length));
  std::uint64_t word = mixed(writer ^ mixed(operation ^ mixed(sector)));
  for (std::size_t at = kText; at < kSector; at += sizeof word) {
    word = mixed(word);
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
  return bytes;
}

/// What people can make of a sector's content.
std::string described(std::span<const std::byte> bytes) {
  if (std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; })) {
    return "zeros";
  }
  std::string text;
  for (const std::byte byte : bytes.first(std::min(bytes.size(), kText))) {
    const char letter = static_cast<char>(byte);
    text += letter >= ' ' && letter <= '~' ? letter : '?';
  }
  return "\"" + text.substr(0, text.find_last_not_of('?') + 1) + "\"";
}

}  // namespace

void fillStamps(std::span<std::byte> buffer, std::uint64_t offset, std::uint64_t writer,
                std::uint64_t operation) {
  while (!buffer.empty()) {
    const auto bytes = stamp(writer, operation, offset / kSector);
    const std::uint64_t within = offset % kSector;
    const std::size_t part = std::min<std::uint64_t>(buffer.size(), kSector - within);
    std::memcpy(buffer.data(), bytes.data() + within, part);
    buffer = buffer.subspan(part);
    offset += part;
  }
}

SectorOracle::SectorOracle(std::vector<Range> ranges, std::uint64_t size, const Content& content)
    : ranges_(std::move(ranges)), size_(size) {
  const MutexLock lock(mutex_);
  for (const Range& range : ranges_) {
    for (std::uint64_t offset = range.begin; offset < range.end; offset += kSector) {
      Version version{};
      if (offset < size) {
        content(offset, std::span(version.bytes).first(std::min(kSector, size - offset)));
      }
      sectors_.emplace_back().versions.push_back(version);
    }
  }
}

std::size_t SectorOracle::indexOf(std::uint64_t sector) const {
  std::size_t before = 0;
  for (const Range& range : ranges_) {
    if (sector * kSector >= range.begin && sector * kSector < range.end) {
      return before + sector - range.begin / kSector;
    }
    before += (range.end - range.begin) / kSector;
  }
  throw std::logic_error("sector " + std::to_string(sector) + " is in no range of the oracle");
}

std::optional<SectorOracle::Ticket> SectorOracle::begin(std::uint64_t offset,
                                                        std::span<const std::byte> bytes) {
  const MutexLock lock(mutex_);
  const std::uint64_t end = offset + bytes.size();
  const auto coversInPart = [&](std::uint64_t sector) {
    return offset > sector * kSector || end < (sector + 1) * kSector;
  };
  for (std::uint64_t sector = offset / kSector; sector * kSector < end; ++sector) {
    const Sector& state = at(sector);
    if (state.underWay > 0 && (state.inPart || coversInPart(sector))) {
      return std::nullopt;
    }
  }
  const Ticket ticket = ++now_;
  operations_[ticket] = {offset, bytes.size(), now_};
  for (std::uint64_t sector = offset / kSector; sector * kSector < end; ++sector) {
    Sector& state = at(sector);
    state.inPart = coversInPart(sector);
    addVersions(sector, offset, bytes, ticket);
    ++state.underWay;
    ++state.changes;
  }
  for (std::uint64_t page = std::max(offset, size_) / kPage + 1; page * kPage < end; ++page) {
    newSizes_.push_back(page * kPage);
  }
  if (end > size_) {
    newSizes_.push_back(end);
  }
  return ticket;
}

/// One version for each content that the sector may have before.
void SectorOracle::addVersions(std::uint64_t number, std::uint64_t offset,
                               std::span<const std::byte> bytes, Ticket ticket) {
  Sector& sector = at(number);
  const std::uint64_t begin = number * kSector;
  const std::uint64_t from = std::max(offset, begin);
  const std::uint64_t to = std::min(offset + bytes.size(), begin + kSector);
  const std::size_t before = sector.inPart ? sector.versions.size() : 1;
  for (std::size_t i = 0; i < before; ++i) {
    Version version{sector.versions[i].bytes, ticket, now_, kUnderWay};
    std::memcpy(version.bytes.data() + (from - begin), bytes.data() + (from - offset), to - from);
    sector.versions.push_back(version);
  }
}

void SectorOracle::settle(Ticket ticket, bool acknowledged) {
  const Operation operation = operations_.at(ticket);
  operations_.erase(ticket);
  ++now_;
  const std::uint64_t end = operation.offset + operation.length;
  for (std::uint64_t number = operation.offset / kSector; number * kSector < end; ++number) {
    Sector& sector = at(number);
    --sector.underWay;
    ++sector.changes;
    sector.inPart = false;
    for (Version& version : sector.versions) {
      if (version.writer == ticket && version.ended == kUnderWay) {
        version.ended = now_;
      }
    }
    if (acknowledged) {
      std::erase_if(sector.versions, [&operation](const Version& version) {
        return version.ended < operation.began;
      });
    }
  }
  if (acknowledged && end > size_) {
    size_ = end;
    newSizes_.clear();
  }
}

void SectorOracle::acknowledge(Ticket ticket) {
  const MutexLock lock(mutex_);
  settle(ticket, true);
}

void SectorOracle::giveUp(Ticket ticket) {
  const MutexLock lock(mutex_);
  settle(ticket, false);
}

void SectorOracle::beginResize(std::uint64_t size) {
  const MutexLock lock(mutex_);
  newSizes_.push_back(size);
}

void SectorOracle::acknowledgeResize() {
  const MutexLock lock(mutex_);
  cutTo(newSizes_.back());
}

void SectorOracle::cutTo(std::uint64_t size) {
  size_ = size;
  newSizes_.clear();
  for (const Range& range : ranges_) {
    for (std::uint64_t begin = std::max(range.begin, size / kSector * kSector); begin < range.end;
         begin += kSector) {
      Sector& sector = at(begin / kSector);
      const std::uint64_t kept = size > begin ? std::min(kSector, size - begin) : 0;
      for (Version& version : sector.versions) {
        std::fill(version.bytes.begin() + static_cast<std::ptrdiff_t>(kept), version.bytes.end(),
                  std::byte{0});
      }
      if (kept == 0) {
        sector.versions.resize(1);
      }
      ++sector.changes;
    }
  }
}

std::uint64_t SectorOracle::size() const {
  const MutexLock lock(mutex_);
  return size_;
}

SectorOracle::Reading SectorOracle::beginRead(std::uint64_t offset, std::uint64_t length) const {
  const MutexLock lock(mutex_);
  Reading reading{offset, {}};
  for (std::uint64_t sector = offset / kSector; sector * kSector < offset + length; ++sector) {
    reading.changes.push_back(sectors_[indexOf(sector)].changes);
  }
  return reading;
}

std::string SectorOracle::endRead(const Reading& reading, std::span<const std::byte> bytes) const {
  const MutexLock lock(mutex_);
  for (std::size_t i = 0; i < reading.changes.size() && i * kSector < bytes.size(); ++i) {
    const std::uint64_t number = reading.offset / kSector + i;
    const Sector& sector = sectors_[indexOf(number)];
    const auto part = bytes.subspan(i * kSector, std::min(kSector, bytes.size() - i * kSector));
    const bool isAllowed = sector.underWay > 0 ? allowsMixed(sector, part) : allows(sector, part);
    if (sector.changes == reading.changes[i] && !isAllowed) {
      return problem(number, sector, part);
    }
  }
  return {};
}

void SectorOracle::crash() {
  const MutexLock lock(mutex_);
  while (!operations_.empty()) {
    settle(operations_.begin()->first, false);
  }
}

std::string SectorOracle::observeSize(std::uint64_t size) {
  const MutexLock lock(mutex_);
  std::string problem;
  if (size != size_ && std::find(newSizes_.begin(), newSizes_.end(), size) == newSizes_.end()) {
    problem = "the image has " + std::to_string(size) + " bytes; allowed: " + std::to_string(size_);
    for (const std::uint64_t other : newSizes_) {
      problem += " " + std::to_string(other);
    }
  }
  cutTo(size);
  return problem;
}

std::string SectorOracle::observe(std::uint64_t offset, std::span<const std::byte> bytes) {
  const MutexLock lock(mutex_);
  std::string problems;
  std::size_t count = 0;
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min<std::uint64_t>(kSector, bytes.size()));
    Sector& sector = at(offset / kSector);
    if (!allows(sector, part) && ++count <= 5) {
      problems += problem(offset / kSector, sector, part);
    }
    Version seen{};
    std::copy(part.begin(), part.end(), seen.bytes.begin());
    sector.versions.assign(1, seen);
    offset += part.size();
    bytes = bytes.subspan(part.size());
  }
  return count > 5 ? problems + "and " + std::to_string(count - 5) + " more sectors\n" : problems;
}

bool SectorOracle::allows(const Sector& sector, std::span<const std::byte> visible) {
  return std::any_of(sector.versions.begin(), sector.versions.end(),
                     [visible](const Version& version) {
                       return std::equal(visible.begin(), visible.end(), version.bytes.begin());
                     });
}

bool SectorOracle::allowsMixed(const Sector& sector, std::span<const std::byte> visible) {
  for (std::size_t i = 0; i < visible.size(); ++i) {
    if (std::none_of(sector.versions.begin(), sector.versions.end(),
                     [&](const Version& version) { return version.bytes[i] == visible[i]; })) {
      return false;
    }
  }
  return true;
}

std::string SectorOracle::problem(std::uint64_t number, const Sector& sector,
                                  std::span<const std::byte> found) {
  std::string text = "sector " + std::to_string(number) + " (byte " +
                     std::to_string(number * kSector) + ") holds " + described(found) +
                     "; allowed:";
  for (const Version& version : sector.versions) {
    text += " " + described(version.bytes);
  }
  return text + "\n";
}

}  // namespace netcow::test
