// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_filler.h"

#include <gtest/gtest.h>

#include "cache/cache_fixture.h"
#include "support/process.h"

namespace netcow::test {
namespace {

class CacheFillerTest : public testing::Test {
 protected:
  void open(std::uint64_t limit = UINT64_MAX / 2) {
    rig_.options.prefetchAll = true;
    rig_.options.pace.quiet = std::chrono::milliseconds(0);
    rig_.options.pace.piece = 64 * kBlockSize;
    rig_.open(limit);
  }
  bool waitForStatus(const std::string& text) {
    return waitUntil([&] { return rig_.source->statusText().find(text) != std::string::npos; });
  }

  SeededRandom random_;
  CacheRig rig_{random_};
  const std::uint64_t size_ = rig_.content->size();
};

TEST_F(CacheFillerTest, FetchesEverythingOnceAndEnds) {
  open();
  EXPECT_TRUE(waitForStatus("(100 %)"));
  EXPECT_TRUE(waitForStatus("; complete"));
  EXPECT_EQ(rig_.inner->bytes, size_);
  EXPECT_EQ(rig_.check(0, size_), "");
  EXPECT_EQ(rig_.inner->bytes, size_);
}

TEST_F(CacheFillerTest, GoesOnWhereItWasStopped) {
  rig_.open();
  ASSERT_EQ(rig_.check(0, 2 * kClusterSize), "");
  rig_.close();
  open();
  EXPECT_TRUE(waitForStatus("; complete"));
  EXPECT_EQ(rig_.inner->bytes, size_ - 2 * kClusterSize);
}

TEST_F(CacheFillerTest, MakesNoRoomForItself) {
  rig_.open();
  ASSERT_EQ(rig_.check(4 * kClusterSize, kClusterSize), "");
  rig_.close();
  open(3 * kClusterSize);
  EXPECT_TRUE(waitForStatus("; stopped fetching at the limit"));
  EXPECT_LE(rig_.cache->spaceTaken(), 3 * kClusterSize + 16 * kBlockSize);
  const std::uint64_t before = rig_.inner->bytes;
  EXPECT_EQ(rig_.check(4 * kClusterSize, kClusterSize), "");
  EXPECT_EQ(rig_.inner->bytes, before);
}

TEST_F(CacheFillerTest, GivesUpWhenNothingCanBeRead) {
  rig_.failing = true;
  open();
  EXPECT_TRUE(waitForStatus("; stopped fetching"));
}

TEST_F(CacheFillerTest, WaitsWhileSomebodyReads) {
  rig_.options.prefetchAll = true;
  rig_.options.pace.quiet = std::chrono::hours(1);
  rig_.open();
  ASSERT_EQ(rig_.check(0, kBlockSize), "");
  EXPECT_EQ(rig_.inner->bytes, kBlockSize);
  rig_.close();  // ends at once all the same
}

}  // namespace
}  // namespace netcow::test
