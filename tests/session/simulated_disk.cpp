// SPDX-License-Identifier: Apache-2.0
#include "session/simulated_disk.h"

#include <algorithm>
#include <cstring>

namespace netcow::test {
namespace {

std::uint64_t roundDownTo(std::uint64_t unit, std::uint64_t value) {
  return value / unit * unit;
}
std::uint64_t roundUpTo(std::uint64_t unit, std::uint64_t value) {
  return roundDownTo(unit, value + unit - 1);
}

}  // namespace

// --- SparseBytes ----------------------------------------------------------------------------

SparseBytes::Page& SparseBytes::writablePage(std::uint64_t page) {
  auto& found = pages_[page];
  if (found == nullptr) {
    found = std::make_shared<Page>();
  } else if (found.use_count() > 1) {
    found = std::make_shared<Page>(*found);
  }
  return *found;
}

void SparseBytes::read(std::span<std::byte> buffer, std::uint64_t offset) const {
  while (!buffer.empty()) {
    const std::uint64_t within = offset % kPageSize;
    const auto part = buffer.first(std::min<std::uint64_t>(buffer.size(), kPageSize - within));
    const auto found = pages_.find(offset / kPageSize);
    if (found == pages_.end()) {
      std::memset(part.data(), 0, part.size());
    } else {
      std::memcpy(part.data(), found->second->data() + within, part.size());
    }
    buffer = buffer.subspan(part.size());
    offset += part.size();
  }
}

void SparseBytes::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const std::uint64_t within = offset % kPageSize;
    const auto part = bytes.first(std::min<std::uint64_t>(bytes.size(), kPageSize - within));
    std::memcpy(writablePage(offset / kPageSize).data() + within, part.data(), part.size());
    bytes = bytes.subspan(part.size());
    offset += part.size();
  }
}

void SparseBytes::zero(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t end = offset + length;
  auto page = pages_.lower_bound(offset / kPageSize);
  while (page != pages_.end() && page->first * kPageSize < end) {
    const std::uint64_t begin = page->first * kPageSize;
    const std::uint64_t from = std::max(begin, offset);
    const std::uint64_t to = std::min(begin + kPageSize, end);
    if (to - from == kPageSize) {
      page = pages_.erase(page);
      continue;
    }
    std::memset(writablePage(page->first).data() + (from - begin), 0, to - from);
    ++page;
  }
}

void SparseBytes::copyPage(std::uint64_t page, const SparseBytes& from) {
  const auto found = from.pages_.find(page);
  if (found == from.pages_.end()) {
    pages_.erase(page);
  } else {
    pages_[page] = found->second;
  }
}

void SparseBytes::copyPages(std::uint64_t offset, std::uint64_t length, const SparseBytes& from) {
  const std::uint64_t begin = offset / kPageSize;
  const std::uint64_t end = roundUpTo(kPageSize, offset + length) / kPageSize;
  pages_.erase(pages_.lower_bound(begin), pages_.lower_bound(end));
  pages_.insert(from.pages_.lower_bound(begin), from.pages_.lower_bound(end));
}

std::uint64_t SparseBytes::findData(std::uint64_t offset) const {
  const auto page = pages_.lower_bound(offset / kPageSize);
  return page == pages_.end() ? UINT64_MAX : std::max(offset, page->first * kPageSize);
}

std::uint64_t SparseBytes::findHole(std::uint64_t offset) const {
  std::uint64_t page = offset / kPageSize;
  while (pages_.contains(page)) {
    ++page;
  }
  return std::max(offset, page * kPageSize);
}

std::uint64_t SparseBytes::bytesIn(std::uint64_t offset, std::uint64_t length) const {
  const auto begin = pages_.lower_bound(offset / kPageSize);
  const auto end = pages_.lower_bound(roundUpTo(kPageSize, offset + length) / kPageSize);
  return static_cast<std::uint64_t>(std::distance(begin, end)) * kPageSize;
}

// --- SimulatedInode -------------------------------------------------------------------------

void SimulatedInode::read(std::span<std::byte> buffer, std::uint64_t offset) const {
  cached_.read(buffer, offset);
}

void SimulatedInode::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  cached_.write(bytes, offset);
  size_ = std::max(size_, offset + bytes.size());
  remember(offset, bytes.size(), false);
}

void SimulatedInode::punch(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t end = std::min(roundUpTo(SparseBytes::kPageSize, size_), offset + length);
  if (offset < end) {
    cached_.zero(offset, end - offset);
    remember(offset, end - offset, offset % kSectorSize == 0 && end % kSectorSize == 0);
  }
}

void SimulatedInode::resize(std::uint64_t newSize) {
  if (newSize < size_) {
    cached_.zero(newSize, size_ - newSize);
  }
  size_ = newSize;
  unsynced_.push_back({newSize, 0, nullptr, size_});
}

void SimulatedInode::remember(std::uint64_t offset, std::uint64_t length, bool zeros) {
  const std::uint64_t from = roundDownTo(kSectorSize, offset);
  const std::uint64_t to = roundUpTo(kSectorSize, offset + length);
  std::shared_ptr<std::vector<std::byte>> bytes;
  if (!zeros) {
    bytes = std::make_shared<std::vector<std::byte>>(to - from);
    cached_.read(*bytes, from);
  }
  unsynced_.push_back({from, to - from, std::move(bytes), size_});
}

void SimulatedInode::sync() {
  for (const Change& change : unsynced_) {
    durable_.copyPages(change.offset, change.length, cached_);
  }
  durableSize_ = size_;
  unsynced_.clear();
}

void SimulatedInode::failSync(SeededRandom& random) {
  for (const Change& change : unsynced_) {
    const std::uint64_t end = change.offset + change.length;
    for (std::uint64_t at = roundDownTo(SparseBytes::kPageSize, change.offset); at < end;
         at += SparseBytes::kPageSize) {
      const std::uint64_t page = at / SparseBytes::kPageSize;
      switch (random.between(0, 2)) {
        case 0:
          durable_.copyPage(page, cached_);
          durableSize_ = std::max(durableSize_, std::min(size_, at + SparseBytes::kPageSize));
          break;
        case 1:
          cached_.copyPage(page, durable_);
          break;
        default:
          break;
      }
    }
  }
  unsynced_.clear();
}

void SimulatedInode::reachDisk(const Change& change, std::uint64_t from, std::uint64_t length) {
  if (change.bytes == nullptr) {
    durable_.zero(change.offset + from, length);
  } else {
    durable_.write(std::span(*change.bytes).subspan(from, length), change.offset + from);
  }
}

std::vector<Fate> SimulatedInode::anyFates(SeededRandom& random) const {
  enum Kind : std::uint64_t { nothing, everything, someChanges, someSectors, firstOnes };
  const auto kind = static_cast<Kind>(random.between(nothing, firstOnes));
  const std::uint64_t firstLost = random.between(0, unsynced_.size());
  std::vector<Fate> fates;
  for (std::uint64_t i = 0; i < unsynced_.size(); ++i) {
    const bool kept = kind == everything || (kind == firstOnes && i < firstLost) ||
                      (kind == someChanges && random.oneIn(2));
    fates.push_back(kind == someSectors ? Fate::torn : kept ? Fate::kept : Fate::dropped);
  }
  return fates;
}

void SimulatedInode::powerCut(SeededRandom& random, const std::vector<Fate>& fates) {
  for (std::uint64_t i = 0; i < unsynced_.size(); ++i) {
    const Change& change = unsynced_[i];
    const bool torn = fates[i] == Fate::torn;
    if (torn && change.length > 0) {
      for (std::uint64_t at = 0; at < change.length; at += kSectorSize) {
        if (random.oneIn(2)) {
          reachDisk(change, at, kSectorSize);
          durableSize_ =
              std::max(durableSize_, std::min(change.sizeAfter, change.offset + at + kSectorSize));
        }
      }
    } else if (fates[i] == Fate::kept || (torn && random.oneIn(2))) {
      reachDisk(change, 0, change.length);
      durableSize_ = change.sizeAfter;
    }
  }
  const std::uint64_t far = std::uint64_t{1} << 50U;
  durable_.zero(durableSize_, far);
  cached_ = durable_;
  size_ = durableSize_;
  unsynced_.clear();
}

// --- SimulatedDisk --------------------------------------------------------------------------

SimulatedDisk::Number SimulatedDisk::find(const std::string& name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? 0 : found->second;
}

SimulatedInode* SimulatedDisk::inode(Number number) {
  const auto found = inodes_.find(number);
  return found == inodes_.end() ? nullptr : &found->second;
}

SimulatedDisk::Number SimulatedDisk::create(const std::string& name) {
  inodes_.emplace(++lastNumber_, SimulatedInode(tick()));
  names_[name] = lastNumber_;
  history_.push_back(names_);
  return lastNumber_;
}

void SimulatedDisk::remove(const std::string& name) {
  names_.erase(name);
  history_.push_back(names_);
}

void SimulatedDisk::rename(const std::string& from, const std::string& to) {
  names_[to] = find(from);
  names_.erase(from);
  history_.push_back(names_);
}

void SimulatedDisk::syncNames() {
  history_ = {names_};
  forgetNameless();
}

void SimulatedDisk::forgetNameless() {
  std::erase_if(inodes_, [this](const auto& entry) {
    return std::none_of(names_.begin(), names_.end(),
                        [&entry](const auto& name) { return name.second == entry.first; });
  });
}

void SimulatedDisk::killProcess() {
  for (auto& [number, inode] : inodes_) {
    inode.locked = false;
  }
}

void SimulatedDisk::powerCut(SeededRandom& random) {
  names_ = history_[random.between(0, history_.size() - 1)];
  for (auto& [number, inode] : inodes_) {
    inode.powerCut(random);
  }
  comeUpAgain();
}

void SimulatedDisk::comeUpAgain() {
  syncNames();
  killProcess();
  ++boot_;
}

void SimulatedDisk::forEachSingledOut(
    SeededRandom& random, const std::function<void(const SimulatedDisk&)>& visit) const {
  const Number live = find("live");
  for (const auto& [number, file] : inodes_) {
    for (std::size_t i = 0; i < file.unsynced() && number != live; ++i) {
      for (const auto& [one, others] :
           {std::pair(Fate::dropped, Fate::kept), std::pair(Fate::kept, Fate::dropped),
            std::pair(Fate::torn, Fate::kept), std::pair(Fate::torn, Fate::dropped)}) {
        SimulatedDisk disk = *this;
        std::vector<Fate> fates(file.unsynced(), others);
        fates[i] = one;
        disk.inodes_[number].powerCut(random, fates);
        disk.powerCut(random);
        visit(disk);
      }
    }
  }
}

bool SimulatedDisk::unsynced() const {
  return history_.size() > 1 || std::any_of(inodes_.begin(), inodes_.end(), [](const auto& entry) {
           return entry.second.unsynced() > 0;
         });
}

}  // namespace netcow::test
