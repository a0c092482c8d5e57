// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "merge/merge.h"
#include "merge/test_files.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::SeededRandom;
using test::TemporaryDirectory;

constexpr std::uint64_t kLargest = 5'000'000;  // almost four clusters

/// What a merge must give, kept as plainly as can be: a base, and blocks by their number.
struct Model {
  std::vector<std::byte> base;
  std::map<std::uint64_t, std::vector<std::byte>> blocks;

  [[nodiscard]] std::vector<std::byte> merged(std::uint64_t originalSize,
                                              std::uint64_t newSize) const {
    std::vector<std::byte> result(newSize);
    std::copy_n(base.begin(), std::min({base.size(), originalSize, newSize}), result.begin());
    for (const auto& [number, content] : blocks) {
      for (std::uint64_t i = 0; i < 4096 && number * 4096 + i < newSize; ++i) {
        result[number * 4096 + i] = content[i];
      }
    }
    return result;
  }
};

/// Sizes where rules change: whole blocks, whole clusters, one byte beside them, anything.
std::uint64_t someSize(SeededRandom& random) {
  const std::uint64_t size = random.between(0, kLargest);
  switch (random.between(0, 4)) {
    case 0:
      return size / 4096 * 4096;
    case 1:
      return size / 1'310'720 * 1'310'720;
    case 2:
      return size / 4096 * 4096 + 1;
    case 3:
      return size / 4096 * 4096 + 4095;
    default:
      return size;
  }
}

void makeBase(SeededRandom& random, const std::string& path, Model& model) {
  model.base = random.bytes(someSize(random));
  test::setFileSize(path, model.base.size());
  test::writeAt(path, model.base);
}

/// Writes runs of blocks, some of them zeros, often over one another.
void writeSomething(SeededRandom& random, Session& session, Model& model) {
  const std::uint64_t first = random.between(0, kLargest / 4096);
  const std::uint64_t count = random.oneIn(4) ? random.between(1, 400) : random.between(1, 4);
  const bool zeros = random.oneIn(4);
  const auto content = zeros ? std::vector<std::byte>(count * 4096) : random.bytes(count * 4096);
  ASSERT_FALSE(session.write(content, first * 4096));
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto begin = content.begin() + static_cast<std::ptrdiff_t>(i * 4096);
    model.blocks[first + i].assign(begin, begin + 4096);
  }
}

TEST(MergeProperty, AgreesWithAPlainModel) {
  SeededRandom random;
  for (int round = 0; round < 25; ++round) {
    const TemporaryDirectory folder;
    Model model;
    makeBase(random, folder / "base", model);

    NewSession settings;
    settings.imageName = "image";
    settings.baseSize = (model.base.size() + 4095) / 4096 * 4096;
    const auto session = Session::create(folder / "session", settings);
    ASSERT_FALSE(session->setSizes(2 * kLargest, settings.baseSize));
    const std::uint64_t writes = random.between(0, 20);
    for (std::uint64_t i = 0; i < writes; ++i) {
      writeSomething(random, *session, model);
    }

    for (int merge = 0; merge < 3; ++merge) {  // cut, grown, as it is
      const std::uint64_t originalSize = someSize(random);
      const std::uint64_t newSize = someSize(random);
      const std::string output = folder / ("out." + std::to_string(merge));
      MergeProgress progress;
      mergeSession(*session, {folder / "base", output, originalSize, newSize}, progress);
      ASSERT_EQ(std::filesystem::file_size(output), newSize);
      ASSERT_TRUE(test::readWhole(output) == model.merged(originalSize, newSize))
          << "round " << round << ": base of " << model.base.size() << " bytes cut to "
          << originalSize << ", grown to " << newSize;
    }
  }
}

}  // namespace
}  // namespace netcow
