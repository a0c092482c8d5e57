// SPDX-License-Identifier: Apache-2.0
// The oracle of the kill tests must be able to say no.
#include "support/sector_oracle.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace netcow::test {
namespace {

using Bytes = std::vector<std::byte>;
constexpr std::uint64_t kSize = 8 * SectorOracle::kSector;

Bytes filled(char letter, std::uint64_t length = SectorOracle::kSector) {
  return Bytes(length, static_cast<std::byte>(letter));
}

class SectorOracleTest : public testing::Test {
 protected:
  /// Whether a crash now may leave this in the sector at `offset`.
  [[nodiscard]] bool allows(std::uint64_t offset, const Bytes& bytes) const {
    return oracle_.endRead(oracle_.beginRead(offset, bytes.size()), bytes).empty();
  }
  SectorOracle::Ticket begin(std::uint64_t offset, const Bytes& bytes) {
    return oracle_.begin(offset, bytes).value();
  }

  SectorOracle oracle_{{{0, kSize}}, kSize, [](std::uint64_t, std::span<std::byte> buffer) {
                         std::fill(buffer.begin(), buffer.end(), std::byte{'b'});
                       }};
};

/// The kernel's page cache keeps readers and writers of the same bytes not apart.
TEST_F(SectorOracleTest, AllowsAMixtureOfOldAndNewOnlyWhileAWriteIsUnderWay) {
  Bytes mixed = filled('b');
  std::fill(mixed.begin() + 77, mixed.end(), std::byte{'x'});
  EXPECT_FALSE(allows(512, mixed));
  const auto ticket = begin(512, filled('x'));
  EXPECT_TRUE(allows(512, mixed));
  mixed[100] = std::byte{'y'};
  EXPECT_FALSE(allows(512, mixed));
  mixed[100] = std::byte{'b'};
  EXPECT_TRUE(allows(512, mixed));
  oracle_.acknowledge(ticket);
  EXPECT_FALSE(allows(512, mixed));
}

TEST_F(SectorOracleTest, AllowsOldAndNewUntilAWriteIsAcknowledged) {
  const auto ticket = begin(512, filled('x'));
  EXPECT_TRUE(allows(512, filled('b')));
  EXPECT_TRUE(allows(512, filled('x')));
  EXPECT_FALSE(allows(512, filled('y')));
  EXPECT_FALSE(allows(0, filled('x'))) << "another sector";
  oracle_.acknowledge(ticket);
  EXPECT_FALSE(allows(512, filled('b'))) << "lost";
  EXPECT_TRUE(allows(512, filled('x')));
}

TEST_F(SectorOracleTest, AllowsEitherOrderOfWritesAtTheSameTime) {
  const auto first = begin(0, filled('x'));
  const auto second = begin(0, filled('y', 1024));
  oracle_.acknowledge(first);
  oracle_.acknowledge(second);
  EXPECT_TRUE(allows(0, filled('x')));
  EXPECT_TRUE(allows(0, filled('y')));
  EXPECT_FALSE(allows(0, filled('b')));
  EXPECT_FALSE(allows(512, filled('x')));
  oracle_.acknowledge(begin(0, filled('z')));
  EXPECT_FALSE(allows(0, filled('x')));
}

TEST_F(SectorOracleTest, KnowsWhatAWriteOfAPartLeaves) {
  const auto ticket = begin(500, filled('x', 20));
  EXPECT_FALSE(oracle_.begin(512, filled('y'))) << "cannot tell what both leave";
  oracle_.acknowledge(ticket);
  Bytes expected = filled('b');
  std::fill(expected.begin() + 500, expected.end(), std::byte{'x'});
  EXPECT_TRUE(allows(0, expected));
  EXPECT_FALSE(allows(0, filled('b')));
}

TEST_F(SectorOracleTest, HoldsACrashToWhatWasSeenOfIt) {
  static_cast<void>(begin(0, filled('x')));
  oracle_.crash();
  EXPECT_EQ(oracle_.observeSize(kSize), "");
  Bytes seen = filled('b', kSize);
  EXPECT_EQ(oracle_.observe(0, seen), "");
  EXPECT_FALSE(allows(0, filled('x'))) << "what was not there cannot come back";
  seen[600] = std::byte{'?'};
  EXPECT_NE(oracle_.observe(0, seen), "");
}

TEST_F(SectorOracleTest, KnowsSizes) {
  oracle_.beginResize(700);
  oracle_.crash();
  EXPECT_NE(oracle_.observeSize(1024), "");
  oracle_.beginResize(700);
  EXPECT_EQ(oracle_.observeSize(700), "");
  oracle_.beginResize(2048);
  oracle_.acknowledgeResize();
  EXPECT_EQ(oracle_.observeSize(2048), "");
  EXPECT_TRUE(allows(1024, Bytes(512))) << "zeros come back";
  EXPECT_FALSE(allows(1024, filled('b')));
  EXPECT_NE(oracle_.observeSize(700), "") << "that was before";
}

/// One that made the image longer, begun within a page, went to netcow in two requests.
TEST(GrowingWrite, MayHaveBeenDoneUpToAPage) {
  for (const std::uint64_t size : {1000U, 4096U, 8192U, 9700U}) {
    SectorOracle oracle({{0, 16'384}}, 1000, [](std::uint64_t, std::span<std::byte> buffer) {
      std::fill(buffer.begin(), buffer.end(), std::byte{'b'});
    });
    static_cast<void>(oracle.begin(500, filled('x', 9200)));
    oracle.crash();
    EXPECT_EQ(oracle.observeSize(size), "");
  }
}

TEST(GrowingWrite, ThatWasAcknowledgedIsWhole) {
  SectorOracle oracle({{0, 16'384}}, 1000, [](std::uint64_t, std::span<std::byte>) {});
  oracle.acknowledge(oracle.begin(500, filled('x', 9200)).value());
  oracle.crash();
  EXPECT_NE(oracle.observeSize(8192), "");
  SectorOracle torn({{0, 16'384}}, 1000, [](std::uint64_t, std::span<std::byte>) {});
  static_cast<void>(torn.begin(500, filled('x', 9200)));
  torn.crash();
  EXPECT_NE(torn.observeSize(5000), "") << "no page ends there";
}

}  // namespace
}  // namespace netcow::test
