// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

namespace netcow {

/// Whether it pays to fetch the neighbours of blocks that are asked for. Each time costs a little
/// credit, each neighbourhood that is read gives more back. Without credit, as with writes at
/// random, it is tried now and then. Not thread-safe.
class NeighbourCredit {
 public:
  [[nodiscard]] bool wants() const { return credit_ > 0 || declined_ + 1 >= kTryEvery; }
  /// Neighbours were not wanted.
  void declined() { ++declined_; }
  /// Neighbours are fetched.
  void spent() {
    credit_ = std::max(credit_ - 1, 0);
    declined_ = 0;
  }
  /// Some that were fetched are read now, for the first time.
  void earned() { credit_ = std::min(credit_ + kGain, kMost); }

 private:
  static constexpr int kGain = 4;
  static constexpr int kMost = 128;
  static constexpr unsigned kTryEvery = 64;
  int credit_ = 32;
  unsigned declined_ = 0;
};

}  // namespace netcow
