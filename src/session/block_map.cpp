// SPDX-License-Identifier: Apache-2.0
#include "session/block_map.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace netcow {

std::uint64_t Cluster::runEnd(std::uint64_t from, std::uint64_t end, bool value) const {
  while (from < end) {
    const std::uint64_t word = bits[from / 64].load(std::memory_order_acquire);
    const std::uint64_t others = (value ? ~word : word) >> (from % 64);
    if (others != 0) {
      return std::min(end, from + static_cast<std::uint64_t>(std::countr_zero(others)));
    }
    from = roundDown(from, 64) + 64;
  }
  return end;
}

ClusterBits Cluster::loadBits() const {
  std::array<LittleEndian<std::uint64_t>, kWords> words;
  for (std::size_t i = 0; i < kWords; ++i) {
    words[i] = bits[i].load(std::memory_order_acquire);
  }
  return std::bit_cast<ClusterBits>(words);
}

void Cluster::publishBits(const ClusterBits& value) {
  const auto words = std::bit_cast<std::array<LittleEndian<std::uint64_t>, kWords>>(value);
  for (std::size_t i = 0; i < kWords; ++i) {
    bits[i].store(words[i], std::memory_order_release);
  }
}

Table::~Table() {
  for (auto& group : groups_) {
    delete group.load();
  }
}

Cluster& Table::obtain(std::uint64_t number) {
  auto& place = groups_[number / kGroup];
  if (place.load(std::memory_order_acquire) == nullptr) {
    auto made = std::make_unique<Group>();
    Group* expected = nullptr;
    // Writers of two clusters of one group hold different stripes; who comes second drops its own.
    if (place.compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel)) {
      static_cast<void>(made.release());
    }
  }
  return *find(number);
}

BlockMap::~BlockMap() {
  for (auto& table : tables_) {
    delete table.load();
  }
}

Table& BlockMap::put(std::uint64_t number, std::unique_ptr<Table> table) {
  Table* const raw = table.release();
  tables_[number].store(raw, std::memory_order_release);
  return *raw;
}

ClusterEntry encodeEntry(const Cluster& cluster, const Clock& clock) {
  return encodeEntry(cluster, cluster.loadBits(), cluster.dirty.load(), clock);
}

ClusterEntry encodeEntry(const Cluster& cluster, const ClusterBits& bits, bool dirty,
                         const Clock& clock) {
  ClusterEntry entry;
  entry.dataOffset = cluster.dataOffset.load(std::memory_order_relaxed);
  entry.uploads = cluster.uploads.load(std::memory_order_relaxed);
  entry.fails = cluster.fails.load(std::memory_order_relaxed);
  entry.bits = bits;
  if (dirty) {
    const Clock::Time changedAt{
        Clock::Time::duration(cluster.changedAt.load(std::memory_order_relaxed))};
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(clock.now() - changedAt);
    // 0 would mean clean.
    entry.timeChanged = std::max<std::int64_t>(1, clock.unixSeconds() - age.count());
  }
  return entry;
}

void decodeEntry(const ClusterEntry& entry, const Clock& clock, Cluster& cluster) {
  if (entry.dataOffset <= 0) {
    return;
  }
  cluster.dataOffset = entry.dataOffset;
  cluster.uploads = entry.uploads;
  cluster.fails = entry.fails;
  cluster.publishBits(entry.bits);
  cluster.cleanAsRead = entry.timeChanged == 0;
  if (entry.timeChanged != 0) {
    // Clamped first: a damaged entry may hold any time.
    constexpr std::int64_t kOldest = 86'400;
    const std::int64_t now = clock.unixSeconds();
    const std::int64_t age = now - std::clamp<std::int64_t>(entry.timeChanged, now - kOldest, now);
    cluster.changedAt = (clock.now() - std::chrono::seconds(age)).time_since_epoch().count();
    cluster.dirty = true;
  }
}

}  // namespace netcow
