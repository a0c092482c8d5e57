// SPDX-License-Identifier: Apache-2.0
#include "format/cluster_bits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "support/seeded_random.h"

namespace netcow {
namespace {

/// The same bits, kept in the plainest way.
using Model = std::vector<bool>;

std::uint64_t modelNext(const Model& model, std::uint64_t from, bool value) {
  const auto found =
      std::find(model.begin() + static_cast<std::ptrdiff_t>(from), model.end(), value);
  return static_cast<std::uint64_t>(found - model.begin());
}

TEST(ClusterBits, CountsFromTheLeastSignificantBit) {
  ClusterBits bits;
  bits.set(0);
  bits.set(9);
  bits.set(319);
  EXPECT_EQ(bits.bytes[0], 0x01);
  EXPECT_EQ(bits.bytes[1], 0x02);
  EXPECT_EQ(bits.bytes[39], 0x80);
}

TEST(ClusterBits, IsEmptyAtFirst) {
  const ClusterBits bits;
  EXPECT_TRUE(bits.none());
  EXPECT_EQ(bits.count(), 0U);
  EXPECT_EQ(bits.findNext(0, true), 320U);
  EXPECT_EQ(bits.findNext(0, false), 0U);
}

TEST(ClusterBits, CanBeFull) {
  ClusterBits bits;
  bits.setRange(0, 320);
  EXPECT_FALSE(bits.none());
  EXPECT_EQ(bits.count(), 320U);
  EXPECT_EQ(bits.findNext(0, false), 320U);
  EXPECT_EQ(bits.findNext(319, true), 319U);
}

TEST(ClusterBits, FindsNothingFromTheEndOn) {
  ClusterBits bits;
  bits.setRange(0, 320);
  EXPECT_EQ(bits.findNext(320, true), 320U);
  EXPECT_EQ(bits.findNext(320, false), 320U);
}

TEST(ClusterBits, AnEmptyRangeSetsNothing) {
  ClusterBits bits;
  bits.setRange(320, 0);
  bits.setRange(7, 0);
  EXPECT_TRUE(bits.none());
}

TEST(ClusterBits, AgreesWithAPlainModel) {
  test::SeededRandom random;
  for (int round = 0; round < 300; ++round) {
    ClusterBits bits;
    Model model(320);
    const std::uint64_t changes = random.between(0, 12);
    for (std::uint64_t change = 0; change < changes; ++change) {
      const std::uint64_t first = random.between(0, 319);
      const std::uint64_t count = random.oneIn(2) ? 1 : random.between(0, 320 - first);
      bits.setRange(first, count);
      std::fill_n(model.begin() + static_cast<std::ptrdiff_t>(first), count, true);
    }
    ASSERT_EQ(bits.count(),
              static_cast<std::uint64_t>(std::count(model.begin(), model.end(), true)));
    ASSERT_EQ(bits.none(), bits.count() == 0);
    for (std::uint64_t block = 0; block < 320; ++block) {
      ASSERT_EQ(bits.test(block), model[block]) << block;
      ASSERT_EQ(bits.findNext(block, true), modelNext(model, block, true)) << block;
      ASSERT_EQ(bits.findNext(block, false), modelNext(model, block, false)) << block;
    }
  }
}

}  // namespace
}  // namespace netcow
