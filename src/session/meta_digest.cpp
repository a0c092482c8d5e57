// SPDX-License-Identifier: Apache-2.0
#include "session/meta_digest.h"

#include <cstring>
#include <functional>
#include <numeric>
#include <string_view>

namespace netcow {
namespace {

/// What something adds that lies `place` bytes into a `meta`, or into its kind of things.
template <class T>
std::uint64_t hashOf(std::uint64_t place, const T& value) {
  std::array<char, sizeof place + sizeof value> bytes;
  std::memcpy(bytes.data(), &place, sizeof place);
  std::memcpy(bytes.data() + sizeof place, &value, sizeof value);
  return std::hash<std::string_view>{}(std::string_view(bytes.data(), bytes.size()));
}

std::uint64_t hashOfL1Entry(std::uint64_t number, std::int32_t index) {
  return hashOf(number, index);
}

std::uint64_t hashOfEntry(std::uint64_t number, std::uint64_t entryInTable,
                          const ClusterEntry& entry) {
  static const ClusterEntry fresh = [] {
    ClusterEntry made{};
    made.dataOffset = kNotAllocated;
    return made;
  }();
  if (std::memcmp(&entry, &fresh, sizeof entry) == 0) {
    return 0;
  }
  return hashOf(number * kClustersPerTable + entryInTable, entry);
}

}  // namespace

std::uint64_t MetaSums::total() const {
  return std::accumulate(tables.begin(), tables.end(), header);
}

std::uint64_t sumOfHeader(const MetaHeader& header) {
  return hashOf(0, header);
}

std::error_code readMetaSums(TableFile& meta, MetaSums& sums) {
  MetaHeader header;
  std::vector<TableIndex> indexes;
  if (const auto error = meta.readHeader(header)) {
    return error;
  }
  if (const auto error = meta.readL1(indexes)) {
    return error;
  }
  sums.header = sumOfHeader(header);
  sums.tables.assign(indexes.size(), 0);
  auto entries = std::make_unique<TableEntries>();
  for (std::uint64_t number = 0; number < indexes.size(); ++number) {
    const std::int32_t index = indexes[number];
    if (index == kNoTable) {
      continue;
    }
    std::uint64_t& sum = sums.tables[number];
    sum = hashOfL1Entry(number, index);
    if (index < 0 || static_cast<std::uint64_t>(index) >= indexes.size()) {
      continue;
    }
    if (const auto error = meta.readTable(index, *entries)) {
      return error;
    }
    for (std::uint64_t i = 0; i < kClustersPerTable; ++i) {
      sum += hashOfEntry(number, i, (*entries)[i]);
    }
  }
  return {};
}

void MetaDigest::writesHeader(const MetaHeader& header) {
  sums_.header = sumOfHeader(header);
}

std::error_code MetaDigest::writesEntry(TableFile& meta, std::uint64_t number, std::int32_t index,
                                        std::uint64_t entryInTable, const ClusterEntry& entry) {
  auto& hashes = changed_[number];
  if (hashes == nullptr) {
    auto entries = std::make_unique<TableEntries>();
    if (const auto error = meta.readTable(index, *entries)) {
      return error;
    }
    hashes = std::make_unique<EntryHashes>();
    for (std::uint64_t i = 0; i < kClustersPerTable; ++i) {
      (*hashes)[i] = hashOfEntry(number, i, (*entries)[i]);
    }
  }
  std::uint64_t& added = (*hashes)[entryInTable];
  const std::uint64_t adds = hashOfEntry(number, entryInTable, entry);
  if (sums_.tables[number] != 0) {
    sums_.tables[number] += adds - added;
  }
  added = adds;
  return {};
}

void MetaDigest::writesL1Entry(std::uint64_t number, std::int32_t index) {
  const EntryHashes& hashes = *changed_.at(number);
  sums_.tables[number] =
      std::accumulate(hashes.begin(), hashes.end(), hashOfL1Entry(number, index));
}

}  // namespace netcow
