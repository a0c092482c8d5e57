// SPDX-License-Identifier: Apache-2.0
// Reads of any kind through a cache that is too small, killed, closed, opened again, and whose disk
// is full or fails: never a wrong byte, never an error, and never more than it may take.
#include <gtest/gtest.h>

#include <iostream>

#include "cache/cache_fixture.h"
#include "support/seeded_cases.h"

namespace netcow::test {
namespace {

/// What goes wrong with the disk for a while.
enum class Trouble { none, full, failing };

class Model {
 public:
  explicit Model(SeededRandom& random) : random_(random), rig_(random) {
    rig_.hook = [this](const FileCall& call) -> std::error_code {
      if (trouble_ == Trouble::full) {
        return whenDiskIsFull(call);
      }
      // Its own numbers: the hook runs on more than one thread.
      const bool fails = trouble_ == Trouble::failing && ++calls_ % 7 == 0;
      return fails ? errnoCode(EIO) : std::error_code{};
    };
    limit_ = random_.between(2, 8) * kClusterSize;
    rig_.open(limit_);
  }

  std::string run(std::uint64_t steps) {
    for (std::uint64_t i = 0; i < steps; ++i) {
      if (const std::string wrong = step(); !wrong.empty()) {
        return wrong;
      }
    }
    trouble_ = Trouble::none;
    rig_.close();
    return {};
  }

  std::uint64_t asked = 0;
  std::uint64_t fetched = 0;

 private:
  std::string step() {
    switch (random_.between(0, 100)) {
      case 0:
        return reopen(true);
      case 1:
        return reopen(false);
      case 2:
        trouble_ = static_cast<Trouble>(random_.between(0, 2));
        return {};
      case 3:
      case 4:
        trouble_ = Trouble::none;
        rig_.cache->queue().drain();
        return checkSpace();
      case 5:
        rig_.cache->blocks().checkpoint();
        return {};
      default:
        return read();
    }
  }

  std::string read() {
    const std::uint64_t size = rig_.content->size();
    const std::uint64_t unit = random_.oneIn(3) ? 1 : random_.oneIn(2) ? 512 : kBlockSize;
    const std::uint64_t offset = random_.between(0, size - 1) / unit * unit;
    const std::uint64_t longest = random_.oneIn(4) ? size : 64 * kBlockSize;
    const std::uint64_t length = std::min(random_.between(1, longest), size - offset);
    asked += length;
    return rig_.check(offset, length);
  }

  std::string reopen(bool kill) {
    trouble_ = Trouble::none;
    fetched += rig_.inner->bytes;
    kill ? rig_.kill() : rig_.close();
    limit_ = random_.between(2, 8) * kClusterSize;
    rig_.open(limit_);
    rig_.cache->queue().drain();
    return checkSpace();
  }

  std::string checkSpace() {
    // The file's first block, and what the file system keeps for itself.
    const std::uint64_t slack = 64 * kBlockSize;
    const std::uint64_t taken = rig_.cache->spaceTaken();
    return taken <= limit_ + slack ? "" : "takes " + std::to_string(taken) + " bytes";
  }

  SeededRandom& random_;
  CacheRig rig_;
  std::atomic<Trouble> trouble_ = Trouble::none;
  std::atomic<std::uint64_t> calls_ = 0;
  std::uint64_t limit_ = 0;
};

TEST(CacheModel, ReadsAlwaysGiveWhatTheImageHas) {
  SeededCases cases;
  std::uint64_t asked = 0;
  std::uint64_t fetched = 0;
  for (int i = 0; i < (longRun() ? 1'000 : 4); ++i) {
    cases.run([&](SeededRandom& random) {
      Model model(random);
      std::string wrong = model.run(500);
      asked += model.asked;
      fetched += model.fetched;
      return wrong;
    });
  }
  std::cout << asked << " bytes read, " << fetched << " of them from the source" << std::endl;
}

}  // namespace
}  // namespace netcow::test
