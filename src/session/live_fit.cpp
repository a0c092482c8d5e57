// SPDX-License-Identifier: Apache-2.0
#include "session/live_fit.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace netcow {
namespace {

bool hasAll(const ClusterBits& bits, const ClusterBits& of) {
  for (std::uint64_t block = of.findNext(0, true); block < kBlocksPerCluster;
       block = of.findNext(block + 1, true)) {
    if (!bits.test(block)) {
      return false;
    }
  }
  return true;
}

LiveFit compareEntries(const ClusterEntry& live, const ClusterEntry& meta) {
  if (live.dataOffset == 0) {
    return LiveFit::torn;
  }
  if (meta.dataOffset <= 0) {
    return LiveFit::newer;
  }
  if (live.dataOffset == kNotAllocated) {
    return LiveFit::older;
  }
  if (live.dataOffset != meta.dataOffset) {
    return LiveFit::contradicts;
  }
  const bool replaced = live.uploads > meta.uploads;
  // It has what a checkpoint forgot: a count alone may lag, when an upload could not be noted.
  const bool takenBack = live.uploads < meta.uploads && !hasAll(meta.bits, live.bits);
  return (replaced || hasAll(live.bits, meta.bits)) && !takenBack ? LiveFit::newer : LiveFit::older;
}

bool isTable(std::int32_t index, std::size_t tables) {
  return index >= 0 && static_cast<std::size_t>(index) < tables;
}

/// Compares one table; `inMeta`: `meta` names it too.
std::error_code compareTable(TableFile& live, TableFile& meta, std::int32_t index, bool inMeta,
                             LiveFit& fit) {
  auto older = std::make_unique<TableEntries>();
  auto newer = std::make_unique<TableEntries>();
  // `meta` first: who has the session open puts everything into `live` before.
  if (const auto error = inMeta ? meta.readTable(index, *older) : std::error_code{}) {
    return error;
  }
  if (const auto error = live.readTable(index, *newer)) {
    return error;
  }
  for (std::uint64_t i = 0; i < kClustersPerTable; ++i) {
    fit = std::max(fit, compareEntries((*newer)[i], (*older)[i]));
  }
  return {};
}

/// Whether the header or a page of L1 is a hole: the latter names table 0 again and again.
std::error_code findHoles(TableFile& live, const std::vector<TableIndex>& held, bool& found) {
  MetaHeader header;
  const auto error = live.readHeader(header);
  found = header.magic == 0 || std::count(held.begin(), held.end(), TableIndex(0)) > 1;
  return error;
}

}  // namespace

std::error_code compareWithMeta(TableFile& live, TableFile& meta, LiveFit& fit) {
  fit = LiveFit::newer;
  std::vector<TableIndex> held;
  std::vector<TableIndex> named;
  if (const auto error = live.readL1(held)) {
    return error;
  }
  if (const auto error = meta.readL1(named)) {
    return error;
  }
  bool holes = false;
  if (const auto error = findHoles(live, held, holes)) {
    return error;
  }
  if (holes) {
    fit = LiveFit::torn;
    return {};
  }
  for (std::size_t number = 0; number < held.size(); ++number) {
    const std::int32_t index = held[number];
    if (!isTable(index, held.size())) {
      continue;
    }
    if (const auto error = compareTable(live, meta, index, index == named[number], fit)) {
      return error;
    }
  }
  return {};
}

}  // namespace netcow
