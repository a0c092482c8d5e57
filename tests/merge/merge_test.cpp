// SPDX-License-Identifier: Apache-2.0
#include "merge/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "base/errors.h"
#include "merge/test_files.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::allocatedBytes;
using test::namesIn;
using test::readFrom;
using test::readWhole;
using test::setFileSize;
using test::TemporaryDirectory;
using test::writeAt;
using testing::IsEmpty;

std::vector<std::byte> filled(std::size_t count, unsigned char value) {
  return std::vector<std::byte>(count, std::byte{value});
}

/// A base of `B`s, a session beside it, and a folder for the result.
class Merge : public testing::Test {
 protected:
  void makeBase(std::uint64_t size) {
    writeAt(base_, filled(size, 'B'));
    baseSize_ = size;
  }

  /// `size`: the session's image.
  void makeSession(std::uint64_t size) {
    NewSession settings;
    settings.imageName = "image";
    settings.baseSize = roundUp(baseSize_, kBlockSize);
    session_ = Session::create(folder_ / "session", settings);
    ASSERT_FALSE(session_->setSizes(size, std::min(size, settings.baseSize)));
  }

  void writeBlock(std::uint64_t block, unsigned char value) {
    ASSERT_FALSE(session_->write(filled(kBlockSize, value), block * kBlockSize));
  }

  /// As the session says, or with the given sizes.
  MergeResult merge() { return merge(session_->validRemoteSize(), session_->imageSize()); }
  MergeResult merge(std::uint64_t originalFileSize, std::uint64_t newFileSize) {
    return mergeSession(*session_, {base_, output_, originalFileSize, newFileSize}, progress_);
  }

  /// Merges, which must fail with an errno value and leave nothing behind.
  int errnoOfMerge() {
    try {
      merge();
    } catch (const std::system_error& error) {
      return toErrno(error.code());
    }
    return 0;
  }

  TemporaryDirectory folder_;
  TemporaryDirectory results_;
  std::string base_ = folder_ / "image.r1";
  std::string output_ = results_ / "image.r2";
  std::uint64_t baseSize_ = 0;
  std::unique_ptr<Session> session_;
  MergeProgress progress_;
};

TEST_F(Merge, OfAnUntouchedSessionIsTheBase) {
  makeBase(10 * kBlockSize);
  makeSession(10 * kBlockSize);
  const MergeResult result = merge();
  EXPECT_EQ(readWhole(output_), readWhole(base_));
  EXPECT_EQ(result.clusters, 0U);
  EXPECT_EQ(result.blocks.all(), 0U);
}

TEST_F(Merge, LaysLocalBlocksOnTop) {
  makeBase(700 * kBlockSize);
  makeSession(700 * kBlockSize);
  writeBlock(0, 1);
  writeBlock(319, 2);
  writeBlock(320, 3);
  writeBlock(699, 4);
  const MergeResult result = merge();
  auto expected = filled(700 * kBlockSize, 'B');
  for (const auto& [block, value] : {std::pair{0, 1}, {319, 2}, {320, 3}, {699, 4}}) {
    std::fill_n(expected.begin() + block * 4096, 4096, static_cast<std::byte>(value));
  }
  EXPECT_TRUE(readWhole(output_) == expected);
  EXPECT_EQ(result.blocks.all(), 4U);
  EXPECT_EQ(result.clusters, 3U);
}

TEST_F(Merge, ReadsZerosBehindTheVisiblePartOfTheBase) {
  makeBase(10'000);
  makeSession(20'000);
  merge(5'000, 20'000);
  const auto got = readWhole(output_);
  ASSERT_EQ(got.size(), 20'000U);
  EXPECT_EQ(std::vector(got.begin(), got.begin() + 5'000), filled(5'000, 'B'));
  EXPECT_EQ(std::vector(got.begin() + 5'000, got.end()), filled(15'000, 0));
}

TEST_F(Merge, GivesAnOddBaseTheRoundedSize) {
  makeBase(4097);
  makeSession(8192);
  merge();
  const auto got = readWhole(output_);
  ASSERT_EQ(got.size(), 8192U);
  EXPECT_EQ(std::vector(got.begin(), got.begin() + 4097), filled(4097, 'B'));
  EXPECT_EQ(std::vector(got.begin() + 4097, got.end()), filled(8192 - 4097, 0));
}

TEST_F(Merge, CutsABlockThatStraddlesTheEnd) {
  makeBase(2 * kBlockSize);
  makeSession(2 * kBlockSize);
  writeBlock(1, 7);
  const MergeResult result = merge(5000, 5000);
  const auto got = readWhole(output_);
  ASSERT_EQ(got.size(), 5000U);
  EXPECT_EQ(std::vector(got.begin() + 4096, got.end()), filled(5000 - 4096, 7));
  EXPECT_EQ(result.blocks.all(), 1U);
}

TEST_F(Merge, LeavesOutWhatLiesBehindTheEnd) {
  makeBase(1000 * kBlockSize);
  makeSession(1000 * kBlockSize);
  writeBlock(2, 1);
  writeBlock(10, 2);
  writeBlock(900, 3);
  const MergeResult result = merge(10 * kBlockSize, 10 * kBlockSize);
  EXPECT_EQ(std::filesystem::file_size(output_), 10 * kBlockSize);
  EXPECT_EQ(readFrom(output_, 2 * kBlockSize, kBlockSize), filled(kBlockSize, 1));
  EXPECT_EQ(result.blocks.all(), 1U);
  EXPECT_EQ(result.clusters, 1U);
}

TEST_F(Merge, MakesAnEmptyImageOfSizeZero) {
  makeBase(kBlockSize);
  makeSession(kBlockSize);
  merge(0, 0);
  EXPECT_EQ(std::filesystem::file_size(output_), 0U);
}

TEST_F(Merge, ZerosOverTheBaseReadAsZerosAndTakeNoSpace) {
  makeBase(640 * kBlockSize);
  makeSession(640 * kBlockSize);
  ASSERT_FALSE(session_->write(filled(kClusterSize, 0), 0));
  merge();
  EXPECT_TRUE(readFrom(output_, 0, kClusterSize) == filled(kClusterSize, 0));
  EXPECT_TRUE(readFrom(output_, kClusterSize, kClusterSize) == filled(kClusterSize, 'B'));
  EXPECT_LE(allocatedBytes(output_), kClusterSize + 65'536);
}

TEST_F(Merge, CostsByWhatIsUsedNotByTheSizeOfTheImage) {
  const std::uint64_t size = std::uint64_t{100} << 30U;
  makeBase(kBlockSize);
  makeSession(size);
  writeBlock(size / kBlockSize - 1, 9);
  merge();
  EXPECT_EQ(std::filesystem::file_size(output_), size);
  EXPECT_EQ(readFrom(output_, size - kBlockSize, kBlockSize), filled(kBlockSize, 9));
  EXPECT_LT(allocatedBytes(output_), 1'000'000U);
}

TEST_F(Merge, CountsItsProgressInClusters) {
  makeBase(1000 * kBlockSize);
  makeSession(1000 * kBlockSize);
  writeBlock(1, 1);
  writeBlock(330, 1);
  writeBlock(999, 1);
  merge();
  EXPECT_EQ(progress_.totalClusters, 3U);
  EXPECT_EQ(progress_.mergedClusters, 3U);
}

TEST_F(Merge, ChangesNeitherBaseNorSession) {
  makeBase(5000);
  makeSession(8192);
  writeBlock(0, 1);
  merge();
  EXPECT_EQ(readWhole(base_), filled(5000, 'B'));
  ASSERT_FALSE(session_->close());
  session_.reset();
  session_ = Session::open(folder_ / "session");
  EXPECT_TRUE(session_->isLocal(0));
  EXPECT_FALSE(session_->isLocal(1));
  EXPECT_EQ(session_->imageSize(), 8192U);
}

TEST_F(Merge, GivesTheImageThePermissionsOfItsBase) {
  makeBase(kBlockSize);
  makeSession(kBlockSize);
  ASSERT_EQ(::chmod(base_.c_str(), 0444), 0);
  merge();
  struct stat status = {};
  ASSERT_EQ(::stat(output_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0444U);
}

TEST_F(Merge, NeverReplacesAnImage) {
  makeBase(kBlockSize);
  makeSession(kBlockSize);
  writeAt(output_, filled(3, 'x'));
  EXPECT_EQ(errnoOfMerge(), EEXIST);
  EXPECT_EQ(readWhole(output_), filled(3, 'x'));
}

TEST_F(Merge, SaysThatTheBaseIsMissing) {
  makeSession(kBlockSize);
  EXPECT_EQ(errnoOfMerge(), ENOENT);
  EXPECT_THAT(namesIn(results_.path()), IsEmpty());
}

TEST_F(Merge, RefusesAFolderAsBase) {
  makeSession(kBlockSize);
  std::filesystem::create_directory(base_);
  EXPECT_THROW(merge(), UserError);
  EXPECT_THAT(namesIn(results_.path()), IsEmpty());
}

TEST_F(Merge, LeavesNothingWhenCancelled) {
  makeBase(kBlockSize);
  makeSession(kBlockSize);
  writeBlock(0, 1);
  progress_.cancel = true;
  EXPECT_EQ(errnoOfMerge(), ECANCELED);
  EXPECT_THAT(namesIn(results_.path()), IsEmpty());
}

TEST_F(Merge, LeavesNothingOnAFullDisk) {
  makeBase(3 * kClusterSize);
  makeSession(3 * kClusterSize);
  if (::mount("tmpfs", results_.path().c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "needs to be root to mount a small file system";
  }
  std::string refusal;
  try {
    merge();
  } catch (const UserError& error) {
    refusal = error.what();
  }
  EXPECT_THAT(refusal, testing::HasSubstr("no room for the new image"));
  EXPECT_THAT(namesIn(results_.path()), IsEmpty());
  ::umount(results_.path().c_str());
}

}  // namespace
}  // namespace netcow
