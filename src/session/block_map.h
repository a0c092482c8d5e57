// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "format/session_files.h"

// The block map: which blocks are local, and where their clusters lie in `data`.
//
// Readers take no lock. A cluster's place and bits are atomics that only ever go one way during a
// mount (allocated, local), and a bit is published after the block's content is written, so who
// sees a bit also sees the content. Changes of one cluster are made under its stripe
// (BlockMap::stripe); tables appear under a lock of their own and never go away.
namespace netcow {

/// One cluster in memory.
struct Cluster {
  static constexpr std::size_t kWords = kBlocksPerCluster / 64;

  std::atomic<std::int64_t> dataOffset{kNotAllocated};
  /// Bit n of the cluster is bit n % 64 of word n / 64.
  std::array<std::atomic<std::uint64_t>, kWords> bits{};
  /// Changes of content that have begun, and that have ended. An upload carried the newest one if
  /// as many had ended before it was read as have begun when it is acknowledged.
  std::atomic<std::uint64_t> changes{0};
  std::atomic<std::uint64_t> changesEnded{0};
  /// When it last changed, as Clock::Time's count. Meaningful while dirty.
  std::atomic<Clock::Time::rep> changedAt{0};
  /// Changed since the last acknowledged upload: then it is queued or checked out.
  std::atomic<bool> dirty{false};
  std::atomic<std::uint32_t> uploads{0};
  std::atomic<std::uint32_t> fails{0};
  /// Its entry in `live` differs from the one in `meta`. Under the stripe.
  bool needsCheckpoint = false;
  /// The entry could not be written when it changed last: no file tells what is here. Under the
  /// stripe.
  bool unsaved = false;
  /// It was clean in the files when the session was opened, whatever recovery then made of it.
  bool cleanAsRead = false;

  [[nodiscard]] bool allocated() const {
    return dataOffset.load(std::memory_order_acquire) != kNotAllocated;
  }
  [[nodiscard]] bool isLocal(std::uint64_t block) const {
    return ((bits[block / 64].load(std::memory_order_acquire) >> (block % 64)) & 1U) != 0;
  }
  /// The first block in [from, end) whose bit is not `value`; `end` if there is none.
  [[nodiscard]] std::uint64_t runEnd(std::uint64_t from, std::uint64_t end, bool value) const;
  /// The run of blocks in [from, end) that begins at `from` and is all local or all not. Never
  /// empty, also while others publish bits: the first block is looked at once.
  struct Run {
    bool local;
    std::uint64_t end;
  };
  [[nodiscard]] Run runFrom(std::uint64_t from, std::uint64_t end) const {
    const bool local = isLocal(from);
    return {local, runEnd(from + 1, end, local)};
  }
  [[nodiscard]] ClusterBits loadBits() const;
  void publishBits(const ClusterBits& value);
};

/// 1024 clusters, and where their entries lie on disk. Thread-safe.
struct Table {
  explicit Table(std::int32_t diskIndex) : index(diskIndex) {}
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// Null where nothing was ever local. `number` is counted within the table.
  [[nodiscard]] Cluster* find(std::uint64_t number) const {
    Group* const group = groups_[number / kGroup].load(std::memory_order_acquire);
    return group == nullptr ? nullptr : &(*group)[number % kGroup];
  }
  /// The same, made where it is missing.
  Cluster& obtain(std::uint64_t number);

  const std::int32_t index;         ///< L2 table in `meta` and `live`
  std::atomic<bool> inMeta{false};  ///< L1 of `meta` points to it
  std::atomic<bool> inLive{false};  ///< `live` holds it whole

  /// Clusters that appear together.
  static constexpr std::uint64_t kGroup = 16;

 private:
  using Group = std::array<Cluster, kGroup>;
  std::array<std::atomic<Group*>, kClustersPerTable / kGroup> groups_{};
};

/// All tables of an image. Thread-safe.
class BlockMap {
 public:
  explicit BlockMap(std::uint64_t tables) : tables_(tables) {}
  ~BlockMap();
  BlockMap(const BlockMap&) = delete;
  BlockMap& operator=(const BlockMap&) = delete;

  [[nodiscard]] std::uint64_t tableCount() const { return tables_.size(); }
  /// Null where nothing is local.
  [[nodiscard]] Table* table(std::uint64_t number) const {
    return tables_[number].load(std::memory_order_acquire);
  }
  [[nodiscard]] Cluster* find(std::uint64_t cluster) const {
    Table* const holder = table(cluster / kClustersPerTable);
    return holder == nullptr ? nullptr : holder->find(cluster % kClustersPerTable);
  }
  /// For a cluster that find() does not have: the first behind it that it may have.
  [[nodiscard]] std::uint64_t nextToLookAt(std::uint64_t cluster) const {
    const std::uint64_t step =
        table(cluster / kClustersPerTable) == nullptr ? kClustersPerTable : Table::kGroup;
    return roundDown(cluster, step) + step;
  }
  /// Puts a table where there is none. One thread at a time for each number.
  Table& put(std::uint64_t number, std::unique_ptr<Table> table);

  /// The lock under which one cluster changes.
  [[nodiscard]] Mutex& stripe(std::uint64_t cluster) { return stripes_[cluster % kStripes]; }

  /// Calls visit(cluster number, Cluster&) for every allocated cluster in ascending order.
  template <class Visit>
  void forEachAllocated(Visit visit) const {
    for (std::uint64_t number = 0; number < tables_.size(); ++number) {
      forEachAllocatedInTable(number, visit);
    }
  }
  template <class Visit>
  void forEachAllocatedInTable(std::uint64_t number, Visit visit) const {
    Table* const holder = table(number);
    for (std::uint64_t i = 0; holder != nullptr && i < kClustersPerTable; ++i) {
      Cluster* const cluster = holder->find(i);
      if (cluster != nullptr && cluster->allocated()) {
        visit(number * kClustersPerTable + i, *cluster);
      }
    }
  }

 private:
  static constexpr std::size_t kStripes = 64;
  std::vector<std::atomic<Table*>> tables_;
  std::array<Mutex, kStripes> stripes_;
};

/// The entry of a cluster as it goes to disk, with `bits` and `dirty` in place of what is
/// published. The caller holds the stripe.
ClusterEntry encodeEntry(const Cluster& cluster, const ClusterBits& bits, bool dirty,
                         const Clock& clock);
/// The entry as it is published.
ClusterEntry encodeEntry(const Cluster& cluster, const Clock& clock);

/// Sets a cluster to what an entry says. An offset of 0 (a table page that never reached the
/// disk) counts as not allocated.
void decodeEntry(const ClusterEntry& entry, const Clock& clock, Cluster& cluster);

}  // namespace netcow
