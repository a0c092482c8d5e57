// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

namespace netcow {

/// Spreads waits, so that many machines whose server failed at one moment do not all come back at
/// one moment. Every wait is drawn anew, which drives their retries further and further apart.
/// Copies draw from the same numbers. Not thread-safe.
class Jitter {
 public:
  /// `draw` gives numbers from 0 to 1, evenly spread; 1 excluded.
  explicit Jitter(std::function<double()> draw) : draw_(std::move(draw)) {}
  /// Other numbers in each process.
  static Jitter random();
  /// The same numbers for the same seed.
  static Jitter seeded(std::uint64_t seed);

  /// Between half of `wait` and one and a half of it: as long on average.
  [[nodiscard]] std::chrono::milliseconds around(std::chrono::milliseconds wait) const;
  /// A pause that somebody asked for: never less than `pause`, at most a quarter more.
  [[nodiscard]] std::chrono::milliseconds atLeast(std::chrono::milliseconds pause) const;

 private:
  std::function<double()> draw_;
};

}  // namespace netcow
