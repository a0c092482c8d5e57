// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "image/image.h"
#include "image/stress_windows.h"

namespace netcow::test {

/// Where the writers meet.
struct StressField {
  std::deque<OwnedWindow> owned;
  std::deque<ContestedWindow> contested;
  std::uint64_t oddBegin = 0;  ///< pieces of kOddPiece bytes, dealt out in turns
  std::uint64_t oddPieces = 0;
};
inline constexpr std::uint64_t kOddPiece = 700;

/// A read through an image that is waited for.
std::vector<std::byte> readAndWait(Image& image, std::uint64_t offset, std::uint64_t length,
                                   Findings& findings);

/// One thread's work on an image: several operations at a time, each of them checked.
class StressWriter {
 public:
  /// `number` from 1 on. Everything must outlive it.
  StressWriter(Image& image, StressField& field, Findings& findings, std::uint32_t number,
               std::uint32_t writers, std::uint64_t seed);

  /// Runs on a thread of its own.
  void run(int batches);

  /// When nothing runs any more: what is its own must be exactly as it was written last.
  void checkOwn(Image& image);

 private:
  struct Operation;
  class Batch;
  struct Content {
    std::uint32_t number = 0;  ///< of the newest write; 0: the base
    bool zeros = false;
  };

  std::uint64_t upTo(std::uint64_t largest) {
    return std::uniform_int_distribution<std::uint64_t>(0, largest)(random_);
  }
  void addSome(Batch& batch);
  void writeOwned(Batch& batch);
  void readOwned(Batch& batch);
  void writeContested(Batch& batch);
  void writeOdd(Batch& batch);
  void readOdd(Batch& batch);
  [[nodiscard]] std::uint64_t ownUnit(const OwnedWindow& window);
  [[nodiscard]] std::byte oddByte(std::uint64_t offset, std::uint32_t number) const;
  void checkOwnSector(std::size_t window, std::uint64_t sector, std::span<const std::byte> content);
  void checkOddRead(std::uint64_t piece, std::span<const std::byte> content);

  Image& image_;
  StressField& field_;
  Findings& findings_;
  const std::uint32_t number_;
  const std::uint32_t writers_;
  std::mt19937_64 random_;
  std::uint32_t writes_ = 0;
  std::vector<std::vector<Content>> owned_;  ///< by window and sector
  std::vector<std::uint32_t> odd_;           ///< by piece: the newest write
};

}  // namespace netcow::test
