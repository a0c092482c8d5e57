// SPDX-License-Identifier: Apache-2.0
#include "session/soundness.h"

#include <algorithm>

namespace netcow {
namespace {

/// What lies further cannot be counted on any more.
constexpr std::int64_t kFarthestPlace = std::int64_t{1} << 62U;

/// The number of tables, if L1 names each from 0 up to it exactly once; else 0.
std::int64_t tablesWithoutGaps(const std::vector<TableIndex>& l1) {
  std::vector<bool> named(l1.size(), false);
  std::int64_t count = 0;
  std::int64_t highest = -1;
  for (const TableIndex& entry : l1) {
    const std::int64_t index = std::int32_t{entry};
    if (index == kNoTable) {
      continue;
    }
    if (index < 0 || static_cast<std::uint64_t>(index) >= l1.size() ||
        named[static_cast<std::size_t>(index)]) {
      return 0;
    }
    named[static_cast<std::size_t>(index)] = true;
    highest = std::max(highest, index);
    ++count;
  }
  return highest + 1 == count ? count : 0;
}

}  // namespace

void SoundnessRules::headerCounters(const MetaHeader& header, const std::vector<TableIndex>& l1) {
  tablesHandedOut_ = std::int32_t{header.nextL2};
  // Where L1 names one table after the other, it is the count that is wrong; else an index.
  const std::int64_t named = tablesWithoutGaps(l1);
  if (named > tablesHandedOut_) {
    found_({FindingKind::counter, "meta",
            "counts " + std::to_string(tablesHandedOut_) + " tables, but L1 names " +
                std::to_string(named)});
    tablesHandedOut_ = named;
  }
}

bool SoundnessRules::tableIndex(const std::string& file, std::uint64_t number, std::int32_t index) {
  const std::string entry = "L1 entry " + std::to_string(number);
  if (index < 0 || static_cast<std::uint64_t>(index) >= indexUsed_.size() ||
      index >= tablesHandedOut_) {
    found_({FindingKind::tableIndex, file,
            "has an index out of range: " + entry + " is " + std::to_string(index)});
    return false;
  }
  if (indexUsed_[static_cast<std::size_t>(index)]) {
    found_({FindingKind::tableTwice, file,
            "uses table " + std::to_string(index) + " twice: see " + entry});
    return false;
  }
  indexUsed_[static_cast<std::size_t>(index)] = true;
  return true;
}

bool SoundnessRules::placeInRange(std::int64_t offset) const {
  const auto place = static_cast<std::uint64_t>(offset);
  return offset >= static_cast<std::int64_t>(kFirstClusterOffset) && place % kClusterSize == 0 &&
         place <= dataBytes_ && offset <= kFarthestPlace;
}

bool SoundnessRules::entry(const std::string& file, std::uint64_t cluster,
                           const ClusterEntry& entry) {
  const std::int64_t offset = entry.dataOffset;
  if (offset == kNotAllocated || offset == 0) {
    if (entry.bits.none()) {
      return true;
    }
    found_({FindingKind::bitsWithoutPlace, file,
            "has local blocks without a place in data: cluster " + std::to_string(cluster)});
    return false;
  }
  if (!placeInRange(offset)) {
    found_({FindingKind::offsetRange, file,
            "has an offset out of range: cluster " + std::to_string(cluster) + " lies at " +
                std::to_string(offset)});
    return false;
  }
  const auto place = static_cast<std::uint64_t>(offset);
  uses_.push_back({place, cluster});
  std::uint64_t last = kBlocksPerCluster;
  while (last > 0 && !entry.bits.test(last - 1)) {
    --last;
  }
  if (last > 0 && place + last * kBlockSize > dataBytes_) {
    found_({FindingKind::blocksBehindEnd, "data",
            "is truncated: local blocks of cluster " + std::to_string(cluster) +
                " lie behind its end"});
    return false;
  }
  return true;
}

void SoundnessRules::finish() {
  std::sort(uses_.begin(), uses_.end(), [](const Use& a, const Use& b) {
    return a.place != b.place ? a.place < b.place : a.cluster < b.cluster;
  });
  for (std::size_t i = 1; i < uses_.size(); ++i) {
    if (uses_[i].place == uses_[i - 1].place) {
      found_({FindingKind::offsetTwice, "meta",
              "uses offset " + std::to_string(uses_[i].place) + " of data twice: see clusters " +
                  std::to_string(uses_[i - 1].cluster) + " and " +
                  std::to_string(uses_[i].cluster)});
    }
  }
}

std::int32_t SoundnessRules::nextTable() const {
  const auto last = std::find(indexUsed_.rbegin(), indexUsed_.rend(), true);
  return static_cast<std::int32_t>(indexUsed_.rend() - last);
}

std::int64_t SoundnessRules::nextClusterOffset() const {
  const std::uint64_t last = uses_.empty() ? 0 : uses_.back().place;
  return static_cast<std::int64_t>(last + kClusterSize);
}

std::vector<std::uint64_t> SoundnessRules::places() const {
  std::vector<std::uint64_t> places;
  places.reserve(uses_.size());
  for (const Use& use : uses_) {
    places.push_back(use.place);
  }
  return places;
}

}  // namespace netcow
