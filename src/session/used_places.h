// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bitset>
#include <cstdint>
#include <unordered_map>

#include "format/session_files.h"

namespace netcow {

/// Which places of clusters in `data` are taken. Costs memory for what is taken, however long
/// `data` is: a sparse file of 8 EiB is made in no time.
class UsedPlaces {
 public:
  /// Takes the place at this offset of `data`, a multiple of kClusterSize; false if it was taken.
  bool take(std::uint64_t offset) {
    const std::uint64_t place = offset / kClusterSize;
    auto taken = chunks_[place / kChunk][place % kChunk];
    if (taken) {
      return false;
    }
    taken = true;
    end_ = end_ > offset + kClusterSize ? end_ : offset + kClusterSize;
    return true;
  }

  [[nodiscard]] bool isTaken(std::uint64_t offset) const {
    const std::uint64_t place = offset / kClusterSize;
    const auto chunk = chunks_.find(place / kChunk);
    return chunk != chunks_.end() && chunk->second[place % kChunk];
  }

  /// One behind the last place that is taken; where the first cluster goes if none is.
  [[nodiscard]] std::uint64_t end() const { return end_; }

 private:
  static constexpr std::uint64_t kChunk = 4096;
  std::unordered_map<std::uint64_t, std::bitset<kChunk>> chunks_;
  std::uint64_t end_ = kFirstClusterOffset;
};

}  // namespace netcow
