// SPDX-License-Identifier: Apache-2.0

// Real mounts: when what programs do to `img` reaches the session. (What programs see of each
// other's changes is tested from outside: a process that maps a file which it serves itself may
// wait for itself.)

#include <gtest/gtest.h>

#include <cerrno>

#include "mounted_image.h"

namespace netcow {
namespace {

using test::AlignedBytes;
using test::MountedImage;
using test::readAt;
using test::writeAt;

constexpr std::size_t kBlock = 4096;
constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

class MountOperations : public testing::Test {
 protected:
  void SetUp() override {
    if (::access("/dev/fuse", R_OK | W_OK) != 0) {
      GTEST_SKIP() << "needs /dev/fuse";
    }
  }
};

TEST_F(MountOperations, ClosingTheLastWriterMakesACheckpoint) {
  MountedImage mounted({});
  UniqueFd cached = mounted.open(O_RDWR);
  UniqueFd direct = mounted.open(O_WRONLY | O_DIRECT);
  const UniqueFd reader = mounted.open(O_RDONLY);
  ASSERT_EQ(writeAt(cached.get(), "x", 0), 1);
  cached.reset();
  EXPECT_TRUE(mounted.session().needsCheckpoint());
  direct.reset();
  EXPECT_FALSE(mounted.session().needsCheckpoint());
}

TEST_F(MountOperations, ClosingADuplicateOfTheLastWriterMakesACheckpointEachTime) {
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDWR);
  for (int i = 0; i < 3; ++i) {
    UniqueFd duplicate(::dup(fd.get()));
    ASSERT_EQ(writeAt(duplicate.get(), "x", 0), 1);
    duplicate.reset();
    EXPECT_FALSE(mounted.session().needsCheckpoint());
  }
}

TEST_F(MountOperations, SyncingReachesTheSession) {
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDWR);
  for (const auto sync : {&::fsync, &::fdatasync}) {
    ASSERT_EQ(writeAt(fd.get(), "x", 0), 1);
    EXPECT_TRUE(mounted.session().needsCheckpoint());
    EXPECT_EQ(sync(fd.get()), 0);
    EXPECT_FALSE(mounted.session().needsCheckpoint());
  }
}

TEST_F(MountOperations, ADurableOpenAllocatesDurably) {
  MountedImage mounted({});
  for (const int flags : {O_DSYNC, O_SYNC | O_DIRECT}) {
    const UniqueFd fd = mounted.open(O_RDWR | flags);
    for (const int mode : {kPunch, FALLOC_FL_ZERO_RANGE, 0}) {
      ASSERT_EQ(writeAt(mounted.open(O_WRONLY).get(), "x", 0), 1);
      ASSERT_EQ(::fallocate(fd.get(), mode, 0, kClusterSize), 0);
      EXPECT_FALSE(mounted.session().needsCheckpoint());
    }
  }
}

TEST_F(MountOperations, NobodySeesAnOldPageAfterAHoleThatCouldNotBePunchedWhole) {
  MountedImage mounted({});
  const UniqueFd cached = mounted.open(O_RDWR);
  const std::string before = readAt(cached.get(), 3 * kBlock, 0);
  mounted.source().stop();  // the rest of the last block cannot be had any more
  EXPECT_EQ(::fallocate(cached.get(), kPunch, 0, 2 * kBlock + 50), -1);
  EXPECT_EQ(errno, EIO);
  const UniqueFd direct = mounted.open(O_RDONLY | O_DIRECT);
  const AlignedBytes truth(2 * kBlock);
  ASSERT_EQ(::pread(direct.get(), truth.data(), truth.size(), 0),
            static_cast<ssize_t>(truth.size()));
  EXPECT_EQ(truth.text(), std::string(2 * kBlock, '\0'));
  EXPECT_EQ(readAt(cached.get(), 2 * kBlock, 0), truth.text());
}

}  // namespace
}  // namespace netcow
