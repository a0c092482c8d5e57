// SPDX-License-Identifier: Apache-2.0
#include "cache/caching_source.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "cache/cache_fixture.h"
#include "session/session.h"

namespace netcow::test {
namespace {

class CachingSourceTest : public testing::Test {
 protected:
  SeededRandom random_;
  CacheRig rig_{random_};
  const std::uint64_t size_ = rig_.content->size();

  void readAll() {
    ASSERT_EQ(rig_.check(0, size_), "");
    rig_.cache->queue().drain();
  }
};

TEST_F(CachingSourceTest, AsksForEachBlockOnceInALife) {
  rig_.open();
  readAll();
  EXPECT_EQ(rig_.inner->bytes, size_);
  readAll();
  EXPECT_EQ(rig_.inner->bytes, size_);
  EXPECT_NE(rig_.source->statusText().find("(100 %)"), std::string::npos);
}

TEST_F(CachingSourceTest, KeepsBlocksForTheNextMountAndForTheOneAfterAKill) {
  rig_.open();
  readAll();
  rig_.close();
  rig_.open();
  readAll();
  EXPECT_EQ(rig_.inner->reads, 0U);
  rig_.kill();
  rig_.open();
  EXPECT_TRUE(rig_.cache->recovered());
  readAll();
  EXPECT_EQ(rig_.inner->reads, 0U);
}

TEST_F(CachingSourceTest, AsksOnlyForWhatIsMissing) {
  rig_.open();
  ASSERT_EQ(rig_.check(3 * kBlockSize, 2 * kBlockSize), "");
  ASSERT_EQ(rig_.check(8 * kBlockSize + 1, 2 * kBlockSize), "");  // one whole block
  rig_.cache->queue().drain();
  const std::uint64_t before = rig_.inner->bytes;
  ASSERT_EQ(rig_.check(0, 16 * kBlockSize), "");
  EXPECT_EQ(rig_.inner->bytes - before, (16U - 3U) * kBlockSize);
}

TEST_F(CachingSourceTest, NeverPassesItsLimitAndForgetsWhatWasUsedLongestAgo) {
  const std::uint64_t limit = 4 * kClusterSize;
  rig_.open(limit);
  const auto read = [&](std::uint64_t cluster) {
    const std::uint64_t before = rig_.inner->reads;
    EXPECT_EQ(rig_.check(cluster * kClusterSize, kClusterSize), "");
    rig_.cache->queue().drain();
    EXPECT_LE(rig_.cache->spaceTaken(), limit + 16 * kBlockSize);
    return rig_.inner->reads == before;
  };
  for (const std::uint64_t cluster : {0U, 1U, 2U}) {
    EXPECT_FALSE(read(cluster));
  }
  EXPECT_TRUE(read(0));  // now 1 is the oldest
  EXPECT_FALSE(read(3));
  EXPECT_FALSE(read(4));
  EXPECT_TRUE(read(0));
  EXPECT_FALSE(read(1));
}

TEST_F(CachingSourceTest, GoesOnWithoutItsDiskWhenThatFails) {
  const auto failing = std::make_shared<std::atomic<bool>>(false);
  rig_.hook = [failing](const FileCall& call) {
    return *failing && call.kind == FileCall::Kind::write ? errnoCode(EIO) : std::error_code{};
  };
  rig_.open();
  ASSERT_EQ(rig_.check(0, kClusterSize), "");
  *failing = true;
  readAll();
  EXPECT_TRUE(rig_.cache->blocks().off());
  readAll();
  EXPECT_NE(rig_.source->statusText().find("not used any more"), std::string::npos);
}

TEST_F(CachingSourceTest, TrustsNothingAfterASyncThatFailed) {
  const auto failing = std::make_shared<std::atomic<bool>>(false);
  rig_.hook = [failing](const FileCall& call) {
    return *failing && call.kind == FileCall::Kind::sync ? errnoCode(EIO) : std::error_code{};
  };
  rig_.open();
  readAll();
  *failing = true;
  rig_.cache->blocks().checkpoint();
  const std::uint64_t before = rig_.inner->bytes;
  readAll();
  EXPECT_EQ(rig_.inner->bytes - before, size_);
}

TEST_F(CachingSourceTest, KeepsNothingOnAFullDiskAndGoesOnWhenThereIsRoom) {
  // The session asks the hook also when it is closed, after this test.
  const auto full = std::make_shared<std::atomic<bool>>(true);
  rig_.open();
  ASSERT_EQ(rig_.check(0, kBlockSize), "");
  rig_.cache->queue().drain();
  rig_.hook = [full](const FileCall& call) {
    return *full ? whenDiskIsFull(call) : std::error_code{};
  };
  readAll();
  EXPECT_FALSE(rig_.cache->blocks().off());
  *full = false;
  readAll();
  const std::uint64_t before = rig_.inner->bytes;
  readAll();
  EXPECT_EQ(rig_.inner->bytes, before);
}

TEST_F(CachingSourceTest, ErrorsOfTheSourceAreErrorsAndNotKept) {
  rig_.open();
  rig_.inner->failing = true;
  std::vector<std::byte> buffer(kBlockSize);
  EXPECT_EQ(readNow(*rig_.source, buffer, 0), EIO);
  rig_.inner->failing = false;
  EXPECT_EQ(rig_.check(0, kBlockSize), "");
}

TEST_F(CachingSourceTest, AnswersEverythingWithAnErrorAfterStop) {
  rig_.open();
  readAll();
  rig_.source->stop();
  std::vector<std::byte> buffer(kBlockSize);
  EXPECT_EQ(readNow(*rig_.source, buffer, 0), EIO);
}

/// Readers beside a writer that makes room all the time.
TEST_F(CachingSourceTest, ManyReadersBesideForgettingNeverSeeAWrongByte) {
  rig_.open(3 * kClusterSize);
  std::atomic<bool> wrong = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&, random = random_.fork()]() mutable {
      for (int n = 0; n < 400 && !wrong; ++n) {
        const std::uint64_t offset = random.between(0, size_ / kBlockSize - 1) * kBlockSize;
        const std::uint64_t length = std::min(random.between(1, 40) * kBlockSize, size_ - offset);
        if (!rig_.check(offset, length).empty()) {
          wrong = true;
        }
      }
    });
  }
  for (auto& reader : readers) {
    reader.join();
  }
  EXPECT_FALSE(wrong);
}

}  // namespace
}  // namespace netcow::test
