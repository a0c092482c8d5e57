// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <vector>

namespace netcow::test {

/// Random numbers of a property test. Prints its seed; NETCOW_SEED=N in the environment replays.
class SeededRandom {
 public:
  SeededRandom() : SeededRandom(chooseSeed()) {}
  explicit SeededRandom(std::uint64_t seed) : seed_(seed), engine_(seed) {
    std::cout << "seed: NETCOW_SEED=" << seed << std::endl;
  }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }
  /// Random numbers of their own for the n-th of many cases, so that it can be run alone.
  [[nodiscard]] SeededRandom ofCase(std::uint64_t n) const {
    SeededRandom one(*this);
    std::seed_seq sequence{seed_ & 0xFFFF'FFFFU, seed_ >> 32U, n & 0xFFFF'FFFFU, n >> 32U};
    one.engine_.seed(sequence);
    return one;
  }
  /// Numbers for a thread of its own, which follow from this seed.
  SeededRandom fork() { return SeededRandom(engine_(), Quiet{}); }
  /// From `low` to `high`, both included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return std::uniform_int_distribution<std::uint64_t>(low, high)(engine_);
  }
  /// True once in `n` on average.
  bool oneIn(std::uint64_t n) { return between(1, n) == 1; }
  std::vector<std::byte> bytes(std::size_t count) {
    std::vector<std::byte> result(count);
    std::size_t at = 0;
    while (at < count) {
      std::uint64_t word = engine_();
      for (int i = 0; i < 8 && at < count; ++i, word >>= 8U) {
        result[at++] = static_cast<std::byte>(word & 0xFFU);
      }
    }
    return result;
  }

 private:
  struct Quiet {};
  SeededRandom(std::uint64_t seed, Quiet) : seed_(seed), engine_(seed) {}
  static std::uint64_t chooseSeed() {
    const char* given = std::getenv("NETCOW_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  }
  std::uint64_t seed_;
  std::mt19937_64 engine_;
};

}  // namespace netcow::test
