// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <benchmark/benchmark.h>

#include <cstdlib>

namespace netcow {

/// Registers with a fixed number of iterations when the environment asks for one: counting
/// instructions (bench/instructions.py) takes the difference of two such runs.
inline void setIterations(benchmark::internal::Benchmark* registered) {
  if (const char* const wanted = std::getenv("NETCOW_ITERATIONS")) {
    registered->Iterations(std::atoll(wanted));
  }
}

}  // namespace netcow

#define NETCOW_BENCHMARK(function) BENCHMARK(function)->Apply(netcow::setIterations)
