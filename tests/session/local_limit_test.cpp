// SPDX-License-Identifier: Apache-2.0
#include "session/local_limit.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <thread>
#include <vector>

#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::SeededRandom;

class LocalLimitTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kPage = 4096;

  LocalLimitTest() : folder_(openFolder(temporary_.path())) {
    EXPECT_FALSE(folder_->create("data", file_));
  }
  /// What a writer does.
  static std::error_code write(LocalLimit& limit, File& file, std::uint64_t page,
                               std::uint64_t pages) {
    const std::uint64_t offset = page * kPage;
    const std::vector<std::byte> bytes(pages * kPage, std::byte{1});
    const auto error = limit.admit(offset, bytes.size());
    return error ? error : file.write(bytes, offset);
  }
  std::uint64_t allocated() {
    std::uint64_t bytes = 0;
    EXPECT_FALSE(file_->allocatedBytes(bytes));
    return bytes;
  }

  test::TemporaryDirectory temporary_;
  std::unique_ptr<Folder> folder_;
  std::unique_ptr<File> file_;
};

TEST_F(LocalLimitTest, AdmitsEverythingUnlessSet) {
  LocalLimit limit(*file_);
  EXPECT_FALSE(limit.admit(0, UINT64_MAX));
  EXPECT_FALSE(limit.check(UINT64_MAX));
}

TEST_F(LocalLimitTest, AdmitsNewSpaceUpToTheLimitAndNoMore) {
  LocalLimit limit(*file_);
  limit.set(10 * kPage);
  for (std::uint64_t page = 0; page < 10; ++page) {
    EXPECT_FALSE(write(limit, *file_, 100 + 2 * page, 1)) << page;
  }
  EXPECT_EQ(limit.admit(0, kPage).value(), ENOSPC);
  EXPECT_EQ(limit.check(1).value(), ENOSPC);
  EXPECT_EQ(allocated(), 10 * kPage);
}

TEST_F(LocalLimitTest, GoesOnOverwritingWhatHasItsSpace) {
  LocalLimit limit(*file_);
  limit.set(10 * kPage);
  for (int i = 0; i < 100; ++i) {
    ASSERT_FALSE(write(limit, *file_, 5, 10)) << i;
  }
  EXPECT_FALSE(write(limit, *file_, 7, 3));
  EXPECT_EQ(limit.admit(14 * kPage, 2 * kPage).value(), ENOSPC) << "half of it is new";
}

TEST_F(LocalLimitTest, CountsReservedSpaceOnceAndLetsItBeWritten) {
  LocalLimit limit(*file_);
  limit.set(10 * kPage);
  ASSERT_FALSE(limit.admit(0, 10 * kPage));
  if (file_->reserve(0, 10 * kPage)) {
    GTEST_SKIP() << "this file system reserves nothing";
  }
  std::uint64_t space = 0;
  ASSERT_FALSE(file_->spaceIn(0, 10 * kPage, space));
  if (space == 0) {
    GTEST_SKIP() << "this file system does not tell what is reserved";
  }
  EXPECT_FALSE(write(limit, *file_, 0, 10));
  EXPECT_EQ(limit.admit(10 * kPage, kPage).value(), ENOSPC);
}

TEST_F(LocalLimitTest, HasRoomAgainAfterADiscard) {
  LocalLimit limit(*file_);
  limit.set(10 * kPage);
  ASSERT_FALSE(write(limit, *file_, 0, 10));
  ASSERT_EQ(limit.admit(20 * kPage, kPage).value(), ENOSPC);
  ASSERT_FALSE(file_->punch(0, 4 * kPage));
  EXPECT_FALSE(write(limit, *file_, 20, 4));
  EXPECT_EQ(limit.admit(30 * kPage, kPage).value(), ENOSPC);
}

TEST_F(LocalLimitTest, BelowWhatIsTakenAdmitsOverwritingOnly) {
  LocalLimit limit(*file_);
  ASSERT_FALSE(write(limit, *file_, 0, 10));
  limit.set(5 * kPage);
  EXPECT_FALSE(write(limit, *file_, 0, 10));
  EXPECT_EQ(limit.admit(10 * kPage, 1).value(), ENOSPC);
}

TEST_F(LocalLimitTest, IsPassedByAtMostTheWritesUnderWay) {
  SeededRandom random;
  constexpr std::uint64_t kThreads = 3;
  constexpr std::uint64_t kMostPages = 4;
  constexpr std::uint64_t kLimit = 200 * kPage;
  LocalLimit limit(*file_);
  limit.set(kLimit);
  const auto work = [this, &limit](std::uint64_t seed) {
    SeededRandom own(seed);
    for (int i = 0; i < 1'000; ++i) {
      const std::uint64_t page = own.between(0, 600);
      if (own.oneIn(5)) {
        EXPECT_FALSE(file_->punch(page * kPage, own.between(1, 20) * kPage));
      } else {
        const auto error = write(limit, *file_, page, own.between(1, kMostPages));
        EXPECT_TRUE(!error || error.value() == ENOSPC) << error.message();
      }
    }
  };
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < kThreads; ++i) {
    threads.emplace_back(work, random.between(0, UINT64_MAX));
  }
  for (auto& thread : threads) {
    thread.join();
  }
  // And what ext4 needs to find the blocks.
  EXPECT_LE(allocated(), kLimit + (kThreads * kMostPages + 4) * kPage);
}

}  // namespace
}  // namespace netcow
