// SPDX-License-Identifier: Apache-2.0
// What the kernel sees of the folder, its files and the connection.
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
using test::GatedSource;
using test::kBaseSize;
using test::kMaxSize;
using test::ReadOnlyFilesystemTest;

// --- names and attributes -------------------------------------------------------------------

TEST_F(FilesystemTest, ShowsAWritableImageAndAStatusInAPrivateFolder) {
  const Answer root = getattr(FUSE_ROOT_ID);
  EXPECT_EQ(root.stat.st_mode, S_IFDIR | 0770U);
  const Answer img = lookup("img");
  EXPECT_EQ(img.inode, kImage);
  EXPECT_EQ(img.stat.st_mode, S_IFREG | 0660U);
  EXPECT_EQ(img.stat.st_size, static_cast<off_t>(kBaseSize));
  EXPECT_EQ(img.stat.st_uid, ::getuid());
  EXPECT_EQ(img.stat.st_gid, ::getgid());
  const Answer status = lookup("status");
  EXPECT_EQ(status.stat.st_mode, S_IFREG | 0440U);
  EXPECT_EQ(status.stat.st_size, static_cast<off_t>(status_.size()));
  EXPECT_EQ(status.timeout, 0) << "its size changes with its text";
}

TEST_F(ReadOnlyFilesystemTest, ShowsAnImageThatNobodyMayWrite) {
  EXPECT_EQ(getattr(FUSE_ROOT_ID).stat.st_mode, S_IFDIR | 0550U);
  EXPECT_EQ(getattr(kImage).stat.st_mode, S_IFREG | 0440U);
}

TEST_F(FilesystemTest, KnowsNoOtherName) {
  EXPECT_EQ(lookup("image").code, ENOENT);
  EXPECT_EQ(getattr(77).code, ENOENT);
}

TEST_F(FilesystemTest, ListsTheFolderInAsManyPiecesAsAreAskedFor) {
  const auto list = [&](std::size_t size, off_t offset) {
    const auto r = request();
    fuse_file_info info = {};
    ops_.readdir(r.get(), FUSE_ROOT_ID, size, offset, &info);
    return r->answer().bytes;
  };
  EXPECT_EQ(list(4096, 0), ".\n..\nimg\nstatus\n");
  EXPECT_EQ(list(9, 0), ".\n..\nimg\n");
  EXPECT_EQ(list(9, 3), "status\n");
  EXPECT_EQ(list(4096, 4), "");
}

TEST_F(FilesystemTest, RefusesToChangeTheFolder) {
  const auto r = request();
  ops_.unlink(r.get(), FUSE_ROOT_ID, "img");
  EXPECT_EQ(r->answer().code, EPERM);
  const auto create = request();
  fuse_file_info info = {};
  ops_.create(create.get(), FUSE_ROOT_ID, "new", 0600, &info);
  EXPECT_EQ(create->answer().code, EPERM);
}

TEST_F(FilesystemTest, CountsSpaceInBlocksOf4096) {
  const auto r = request();
  ops_.statfs(r.get(), FUSE_ROOT_ID);
  const struct statvfs numbers = r->answer().numbers;
  EXPECT_EQ(numbers.f_bsize, 4096U);
  EXPECT_EQ(numbers.f_frsize, 4096U);
  EXPECT_GT(numbers.f_bavail, 0U);
  EXPECT_EQ(numbers.f_bfree, numbers.f_bavail);
  EXPECT_EQ(numbers.f_blocks - numbers.f_bfree, (kBaseSize + 4095) / 4096);
}

TEST_F(FilesystemTest, CountsAsFreeWhatMayStillBeWritten) {
  session_->limitLocal(10 * kClusterSize);
  const auto freeBytes = [&] {
    const auto r = request();
    ops_.statfs(r.get(), FUSE_ROOT_ID);
    const struct statvfs numbers = r->answer().numbers;
    return numbers.f_bavail * numbers.f_frsize;
  };
  const std::uint64_t before = freeBytes();
  EXPECT_LE(before, 10 * kClusterSize);
  EXPECT_EQ(write(std::string(65'536, 'w'), 0, openDirect()).count, 65'536U);
  EXPECT_LE(freeBytes(), before - 65'536);
}

TEST_F(ReadOnlyFilesystemTest, HasNoFreeSpace) {
  const auto r = request();
  ops_.statfs(r.get(), FUSE_ROOT_ID);
  EXPECT_EQ(r->answer().numbers.f_bavail, 0U);
}

TEST_F(FilesystemTest, CountsDataAndNotHolesAsBlocksOfTheImage) {
  constexpr off_t kSectors = 512;
  const off_t whole = lookup("img").stat.st_blocks;
  EXPECT_GE(whole * kSectors, static_cast<off_t>(kBaseSize));
  EXPECT_EQ(
      allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kClusterSize, openCached()).code, 0);
  const off_t holed = getattr(kImage).stat.st_blocks;
  EXPECT_LE(holed * kSectors, static_cast<off_t>(kBaseSize - kClusterSize + 4 * 4096));
  ASSERT_EQ(setattr(kImage, FUSE_SET_ATTR_SIZE, kMaxSize).kind, Answer::attributes);
  EXPECT_EQ(getattr(kImage).stat.st_blocks, holed) << "growing adds a hole";
}

// --- sizes ----------------------------------------------------------------------------------

TEST_F(FilesystemTest, AppliesASize) {
  const Answer answer = setattr(kImage, FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_MTIME, 12345);
  EXPECT_EQ(answer.kind, Answer::attributes);
  EXPECT_EQ(answer.stat.st_size, 12345);
  EXPECT_EQ(image_->size(), 12345U);
}

TEST_F(FilesystemTest, RefusesModeOwnerAndTimesAtOnce) {
  EXPECT_EQ(setattr(kImage, FUSE_SET_ATTR_MODE).code, EACCES);
  EXPECT_EQ(setattr(kImage, FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID).code, EACCES);
  EXPECT_EQ(setattr(kImage, FUSE_SET_ATTR_MTIME_NOW).code, EACCES);
  EXPECT_EQ(setattr(kStatus, FUSE_SET_ATTR_SIZE).code, EACCES);
  EXPECT_EQ(setattr(FUSE_ROOT_ID, FUSE_SET_ATTR_MODE).code, EACCES);
}

TEST_F(FilesystemTest, DoesNotGrowBeyondTheLargestSize) {
  EXPECT_EQ(setattr(kImage, FUSE_SET_ATTR_SIZE, kMaxSize + 1).code, EFBIG);
  EXPECT_EQ(write("x", kMaxSize, openCached()).code, EFBIG);
  EXPECT_EQ(image_->size(), kBaseSize);
}

TEST_F(ReadOnlyFilesystemTest, RefusesToBeChanged) {
  EXPECT_EQ(open(kImage, O_WRONLY).code, EROFS);
  EXPECT_EQ(setattr(kImage, FUSE_SET_ATTR_SIZE, 5).code, EROFS);
  EXPECT_EQ(write("x", 0, open(kImage, O_RDONLY).info).code, EROFS);
  EXPECT_EQ(image_->size(), kBaseSize);
}

// --- status ---------------------------------------------------------------------------------

TEST_F(FilesystemTest, ReadsTheStatusAsItWasAtTheOpen) {
  fuse_file_info info = open(kStatus, O_RDONLY).info;
  EXPECT_TRUE(info.direct_io);
  const std::string text = status_;
  status_ = "something shorter";
  const auto readStatus = [&](std::size_t size, off_t offset) {
    const auto r = request();
    ops_.read(r.get(), kStatus, size, offset, &info);
    return r->answer().bytes;
  };
  EXPECT_EQ(readStatus(4096, 0), text);
  EXPECT_EQ(readStatus(5, 10), text.substr(10, 5));
  EXPECT_EQ(readStatus(4096, 4096), "");
  release(kStatus, info);
}

TEST_F(FilesystemTest, RefusesToWriteTheStatus) {
  EXPECT_EQ(open(kStatus, O_WRONLY).code, EACCES);
  EXPECT_EQ(open(kStatus, O_RDONLY | O_TRUNC).code, EACCES);
}

// --- connection -----------------------------------------------------------------------------

class ConnectionTest : public testing::Test {
 protected:
  fuse_conn_info initialise(const ConnectionLimits& limits) {
    GatedSource source(kBaseSize);
    Image image(source, nullptr);
    RequestMemory memory;
    Filesystem filesystem(image, memory, limits, [] { return std::string(); });
    fuse_conn_info connection = {};
    connection.capable = capable;
    connection.want = FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ | FUSE_CAP_WRITEBACK_CACHE |
                      FUSE_CAP_ATOMIC_O_TRUNC;
    connection.max_write = 1U << 20U;
    connection.max_readahead = 128U << 10U;
    Filesystem::operations().init(&filesystem, &connection);
    return connection;
  }
  unsigned capable = ~0U;
};

TEST_F(ConnectionTest, AsksForManyLargeParallelRequests) {
  const fuse_conn_info connection = initialise({});
  EXPECT_EQ(connection.max_write, 1U << 20U);
  EXPECT_GE(connection.max_background, 64U);
  EXPECT_EQ(connection.max_readahead, 128U << 10U);
  EXPECT_EQ(connection.max_read, 0U);
  EXPECT_EQ(connection.want, FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS);
}

TEST_F(ConnectionTest, WantsNothingThatTheKernelCannotDo) {
  capable = FUSE_CAP_ASYNC_READ;
  EXPECT_EQ(initialise({}).want, static_cast<unsigned>(FUSE_CAP_ASYNC_READ));
}

TEST_F(ConnectionTest, AppliesLimitsThatMakeSense) {
  ConnectionLimits limits;
  limits.maxWrite = 65'536;
  limits.maxBackground = 7;
  limits.maxReadahead = 262'144;
  limits.maxRead = 32'768;
  const fuse_conn_info connection = initialise(limits);
  EXPECT_EQ(connection.max_write, 65'536U);
  EXPECT_EQ(connection.max_background, 7U);
  EXPECT_EQ(connection.max_readahead, 131'072U) << "the kernel offers no more";
  EXPECT_EQ(connection.max_read, 32'768U);
  limits.maxWrite = 1;
  EXPECT_EQ(initialise(limits).max_write, 4096U);
}

}  // namespace
}  // namespace netcow
