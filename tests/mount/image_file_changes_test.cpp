// SPDX-License-Identifier: Apache-2.0
// Ranges of `img` that are zeroed, reserved or looked for, and the kernel's page cache.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "filesystem_fixture.h"

namespace netcow {
namespace {

using test::Answer;
using test::FilesystemTest;
using test::kBaseSize;
using test::kMaxSize;
using test::pattern;
using test::takeInvalidated;

// --- fallocate and lseek --------------------------------------------------------------------

constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

TEST_F(FilesystemTest, PunchesHolesOfAnyLength) {
  EXPECT_EQ(allocate(kPunch, 100, 2 * kClusterSize, openCached()).code, 0);
  EXPECT_EQ(read(8192, 0).bytes, pattern(0, 100) + std::string(8092, '\0'));
  const auto end = static_cast<off_t>(100 + 2 * kClusterSize);
  EXPECT_EQ(read(100, end - 50).bytes,
            std::string(50, '\0') + pattern(static_cast<std::uint64_t>(end), 50));
}

TEST_F(FilesystemTest, ZeroesARangeAndGrowsUnlessToldToKeepTheSize) {
  const auto end = static_cast<off_t>(kBaseSize);
  const fuse_file_info writer = openCached();
  EXPECT_EQ(allocate(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, end - 10, 100, writer).code, 0);
  EXPECT_EQ(image_->size(), kBaseSize);
  EXPECT_EQ(allocate(FALLOC_FL_ZERO_RANGE, end - 20, 100, writer).code, 0);
  EXPECT_EQ(image_->size(), kBaseSize + 80);
  EXPECT_EQ(read(200, end - 30).bytes, pattern(kBaseSize - 30, 10) + std::string(100, '\0'));
}

TEST_F(FilesystemTest, PreallocatesWithoutChangingContent) {
  const auto end = static_cast<off_t>(kBaseSize);
  const fuse_file_info writer = openCached();
  EXPECT_EQ(allocate(FALLOC_FL_KEEP_SIZE, end - 100, 300, writer).code, 0);
  EXPECT_EQ(image_->size(), kBaseSize);
  EXPECT_EQ(allocate(0, end - 100, 300, writer).code, 0);
  EXPECT_EQ(image_->size(), kBaseSize + 200);
  EXPECT_EQ(read(400, end - 100).bytes, pattern(kBaseSize - 100, 100) + std::string(200, '\0'));
}

TEST_F(FilesystemTest, RefusesOtherWaysToAllocate) {
  const fuse_file_info writer = openCached();
  for (const int mode : {FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
                         FALLOC_FL_UNSHARE_RANGE, kPunch | FALLOC_FL_ZERO_RANGE}) {
    EXPECT_EQ(allocate(mode, 0, 4096, writer).code, EOPNOTSUPP) << mode;
  }
  EXPECT_EQ(allocate(kPunch, 0, 4096, open(kImage, O_RDONLY).info).code, EBADF);
  EXPECT_EQ(allocate(0, 0, kMaxSize + 1, writer).code, EFBIG);
  EXPECT_EQ(read(4096, 0).bytes, pattern(0, 4096));
}

TEST_F(FilesystemTest, ZeroesOnAThreadThatServesNoRequestsAndWaitsForNoServer) {
  const fuse_file_info writer = openCached();
  source_.closeGate();
  const auto r = request();
  fuse_file_info info = writer;
  ops_.fallocate(r.get(), kImage, kPunch, 10, 8000, &info);
  ASSERT_TRUE(source_.waitForReads(2)) << "the rest of both blocks at its ends";
  EXPECT_EQ(r->answers(), 0U);
  const auto other = request();
  ops_.fallocate(other.get(), kImage, kPunch, kClusterSize, kClusterSize, &info);
  EXPECT_EQ(other->answer().code, 0) << "the first one holds up nobody";
  EXPECT_NE(other->answer().thread, std::this_thread::get_id());
  source_.openGate();
  EXPECT_EQ(r->answer().code, 0);
}

TEST_F(FilesystemTest, InvalidatesOnlyWhatTheKernelDoesNotWhenARangeIsZeroed) {
  const fuse_file_info writer = openCached();
  EXPECT_EQ(allocate(kPunch, 0, 8192, writer).code, 0);
  EXPECT_TRUE(takeInvalidated().empty()) << "after success the kernel drops the pages itself";
  source_.stop();
  EXPECT_EQ(allocate(kPunch, 8192, 8000, writer).code, EIO) << "the end of it needs the base";
  const auto ranges = takeInvalidated();
  ASSERT_EQ(ranges.size(), 1U) << "but a part of it is zeros now";
  EXPECT_EQ(ranges[0].offset, 8192);
  EXPECT_EQ(ranges[0].length, 8000);
}

/// Else the size it keeps of a file that nobody has cached lives for a day.
TEST_F(FilesystemTest, MakesTheKernelForgetTheSizeWhenARangeCannotBeZeroedWhole) {
  source_.stop();
  EXPECT_EQ(allocate(FALLOC_FL_ZERO_RANGE, 10, kClusterSize, openDirect()).code, EIO);
  EXPECT_EQ(takeInvalidated().size(), 1U);
}

TEST_F(FilesystemTest, FlushesWhatMustBeDurableAfterAllocating) {
  for (const int mode : {kPunch, FALLOC_FL_ZERO_RANGE, 0}) {
    EXPECT_EQ(allocate(mode, 0, kClusterSize, openDirect(O_DSYNC)).code, 0);
    EXPECT_FALSE(session_->needsCheckpoint()) << mode;
  }
}

TEST_F(FilesystemTest, FindsDataAndHoles) {
  const auto end = static_cast<off_t>(kBaseSize);
  EXPECT_EQ(seek(7, SEEK_DATA).offset, 7);
  EXPECT_EQ(seek(7, SEEK_HOLE).offset, end);
  EXPECT_EQ(allocate(kPunch, 4096, 8192, openDirect()).code, 0);
  EXPECT_EQ(seek(7, SEEK_HOLE).offset, 4096);
  EXPECT_EQ(seek(5000, SEEK_HOLE).offset, 5000);
  EXPECT_EQ(seek(5000, SEEK_DATA).offset, 12'288);
  EXPECT_EQ(seek(end, SEEK_DATA).code, ENXIO);
  EXPECT_EQ(seek(end, SEEK_HOLE).code, ENXIO);
  EXPECT_EQ(seek(-1, SEEK_HOLE).code, ENXIO);
  EXPECT_EQ(seek(0, SEEK_SET).code, EINVAL);
}

TEST_F(FilesystemTest, FindsDataOfTheStatusWhichHasNoHoles) {
  fuse_file_info info = open(kStatus, O_RDONLY).info;
  const auto seekStatus = [&](off_t offset, int whence) {
    const auto r = request();
    ops_.lseek(r.get(), kStatus, offset, whence, &info);
    return r->answer();
  };
  EXPECT_EQ(seekStatus(3, SEEK_DATA).offset, 3);
  EXPECT_EQ(seekStatus(3, SEEK_HOLE).offset, static_cast<off_t>(status_.size()));
  EXPECT_EQ(seekStatus(static_cast<off_t>(status_.size()), SEEK_DATA).code, ENXIO);
  release(kStatus, info);
}

TEST_F(FilesystemTest, ReliesOnAHoleOnlyAfterMappedChangesWereWrittenBack) {
  EXPECT_EQ(allocate(kPunch, 4096, 8192, openDirect()).code, 0);
  EXPECT_EQ(seek(4096, SEEK_DATA).offset, 12'288);
  EXPECT_TRUE(takeInvalidated().empty()) << "nobody can have mapped it";
  openCached();
  EXPECT_EQ(seek(6000, SEEK_DATA).offset, 12'288);
  EXPECT_EQ(seek(0, SEEK_HOLE).offset, 4096);
  EXPECT_EQ(seek(0, SEEK_DATA).offset, 0);
  const auto ranges = takeInvalidated();
  ASSERT_EQ(ranges.size(), 2U) << "data is never in doubt";
  EXPECT_EQ(ranges[0].offset, 6000);
  EXPECT_EQ(ranges[0].length, 12'288 - 6000);
  EXPECT_EQ(ranges[1].offset, 4096);
  EXPECT_EQ(ranges[1].length, 8192);
  EXPECT_NE(ranges[1].thread, std::this_thread::get_id());
}

// --- page cache -----------------------------------------------------------------------------

TEST_F(FilesystemTest, LetsDirectOpensBypassTheCacheInParallel) {
  const Answer answer = open(kImage, O_RDWR | O_DIRECT);
  ASSERT_EQ(answer.bytes.size(), sizeof(fuse_open_out));
  fuse_open_out out = {};
  std::memcpy(&out, answer.bytes.data(), sizeof out);
  EXPECT_EQ(out.open_flags, FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES | FOPEN_KEEP_CACHE)
      << "what others have cached is theirs";
}

TEST_F(FilesystemTest, KeepsTheCacheBetweenOtherOpens) {
  const fuse_file_info first = openCached();
  EXPECT_TRUE(first.keep_cache);
  EXPECT_FALSE(first.direct_io);
  EXPECT_EQ(write("x", 0, first).count, 1U);
  EXPECT_TRUE(takeInvalidated().empty()) << "a cached write changes the cache itself";
  release(kImage, first);
  EXPECT_TRUE(openCached().keep_cache);
}

TEST_F(FilesystemTest, InvalidatesWhatADirectWriteChangedBeforeAnsweringIt) {
  openCached();
  const auto r = startWrite("direct", 5000, openDirect());
  EXPECT_EQ(r->answer().count, 6U);
  const auto ranges = takeInvalidated();
  ASSERT_EQ(ranges.size(), 1U);
  EXPECT_EQ(ranges[0].inode, kImage);
  EXPECT_EQ(ranges[0].offset, 5000);
  EXPECT_EQ(ranges[0].length, 6);
  EXPECT_NE(ranges[0].thread, std::this_thread::get_id()) << "it may block, a worker must not";
}

TEST_F(FilesystemTest, ForgetsTheCacheWhenDirectWritesCameBetweenCachedOpens) {
  release(kImage, openCached());
  EXPECT_EQ(write("direct", 0, openDirect()).count, 6U);
  EXPECT_TRUE(takeInvalidated().empty());
  EXPECT_TRUE(openCached().keep_cache);
  const auto ranges = takeInvalidated();
  ASSERT_EQ(ranges.size(), 1U) << "before the open is answered";
  EXPECT_EQ(ranges[0].offset, 0);
  EXPECT_EQ(ranges[0].length, 0) << "all of it";
  openCached();
  EXPECT_TRUE(takeInvalidated().empty());
}

TEST_F(FilesystemTest, CountsNoOpenWhoseOpenerHasGone) {
  EXPECT_EQ(open(kImage, O_RDWR, -ENOENT).kind, Answer::opened);
  EXPECT_EQ(write("direct", 0, openDirect()).count, 6U);
  EXPECT_TRUE(takeInvalidated().empty()) << "nobody reads through the cache";
}

}  // namespace
}  // namespace netcow
