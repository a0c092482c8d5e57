// SPDX-License-Identifier: Apache-2.0
// The queue of dirty clusters.
#include <chrono>
#include <cstdint>

#include "micro/iterations.h"
#include "session/dirty_clusters.h"

namespace netcow {
namespace {

/// A cluster turns dirty, and the oldest is taken, with so many in the queue.
void addAndTakeOne(benchmark::State& state) {
  DirtyClusters queue;
  Clock::Time time{};
  std::uint64_t next = 0;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    queue.add(next++, time += std::chrono::microseconds(1));
  }
  for (auto _ : state) {
    queue.add(next++, time += std::chrono::microseconds(1));
    benchmark::DoNotOptimize(queue.takeOlderThan(time));
  }
}
NETCOW_BENCHMARK(addAndTakeOne)->Arg(0)->Arg(1000)->Arg(100'000);

void lookForTheOldest(benchmark::State& state) {
  DirtyClusters queue;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    queue.add(static_cast<std::uint64_t>(i), Clock::Time{} + std::chrono::microseconds(i));
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(queue.oldest());
  }
}
NETCOW_BENCHMARK(lookForTheOldest)->Arg(1000)->Arg(100'000);

}  // namespace
}  // namespace netcow
