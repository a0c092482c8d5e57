// SPDX-License-Identifier: Apache-2.0
// The block map, which every read and write looks into.
#include <cstdint>
#include <memory>

#include "micro/iterations.h"
#include "session/block_map.h"
#include "session/piece.h"

namespace netcow {
namespace {

constexpr std::uint64_t kTables = 8;
constexpr std::uint64_t kClusters = kTables * kClustersPerTable;
/// Odd, so that multiples of it visit every cluster.
constexpr std::uint64_t kStep = 977;

/// All clusters local as a whole.
std::unique_ptr<BlockMap> makeFullMap() {
  auto map = std::make_unique<BlockMap>(kTables);
  ClusterBits all;
  all.setRange(0, kBlocksPerCluster);
  for (std::uint64_t number = 0; number < kTables; ++number) {
    auto table = std::make_unique<Table>(static_cast<std::int32_t>(number));
    for (std::uint64_t i = 0; i < kClustersPerTable; ++i) {
      Cluster& cluster = table->obtain(i);
      cluster.dataOffset = static_cast<std::int64_t>(kFirstClusterOffset);
      cluster.publishBits(all);
    }
    map->put(number, std::move(table));
  }
  return map;
}

void findCluster(benchmark::State& state) {
  const auto map = makeFullMap();
  std::uint64_t cluster = 0;
  for (auto _ : state) {
    cluster = (cluster + kStep) % kClusters;
    benchmark::DoNotOptimize(map->find(cluster)->isLocal(cluster % kBlocksPerCluster));
  }
}
NETCOW_BENCHMARK(findCluster);

void findRunOfOneBlock(benchmark::State& state) {
  const auto map = makeFullMap();
  std::uint64_t cluster = 0;
  for (auto _ : state) {
    cluster = (cluster + kStep) % kClusters;
    const std::uint64_t block = cluster % kBlocksPerCluster;
    benchmark::DoNotOptimize(map->find(cluster)->runFrom(block, block + 1));
  }
}
NETCOW_BENCHMARK(findRunOfOneBlock);

void findRunOfAWholeCluster(benchmark::State& state) {
  const auto map = makeFullMap();
  std::uint64_t cluster = 0;
  for (auto _ : state) {
    cluster = (cluster + kStep) % kClusters;
    benchmark::DoNotOptimize(map->find(cluster)->runFrom(0, kBlocksPerCluster));
  }
}
NETCOW_BENCHMARK(findRunOfAWholeCluster);

void publishOneMoreBlock(benchmark::State& state) {
  const auto map = makeFullMap();
  std::uint64_t cluster = 0;
  for (auto _ : state) {
    cluster = (cluster + kStep) % kClusters;
    Cluster& found = *map->find(cluster);
    ClusterBits bits = found.loadBits();
    bits.set(cluster % kBlocksPerCluster);
    found.publishBits(bits);
  }
}
NETCOW_BENCHMARK(publishOneMoreBlock);

void splitOneMebibyteIntoPieces(benchmark::State& state) {
  std::uint64_t offset = 0;
  for (auto _ : state) {
    std::uint64_t length = std::uint64_t{1} << 20U;
    while (length > 0) {
      const Piece piece = firstPiece(offset, length);
      benchmark::DoNotOptimize(piece.endBlock());
      offset += piece.length;
      length -= piece.length;
    }
  }
}
NETCOW_BENCHMARK(splitOneMebibyteIntoPieces);

}  // namespace
}  // namespace netcow
