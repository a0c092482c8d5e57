// SPDX-License-Identifier: Apache-2.0
// Space behind the end of the image, and where a session holds data.
#include <cerrno>

#include "session/session_fixture.h"

namespace netcow {
namespace {

using test::blockOf;
using test::localBlock;

class HolesTest : public test::HookedSessionTest {
 protected:
  static void shrink(Session& session, std::uint64_t size) {
    ASSERT_FALSE(session.setSizes(size, std::min(session.validRemoteSize(), size)));
  }
  static void grow(Session& session, std::uint64_t size) {
    const std::uint64_t from = session.imageSize();
    ASSERT_FALSE(session.zeroLocal(from, size - from));
    ASSERT_FALSE(session.setSizes(size, session.validRemoteSize()));
  }
  static void fillClusters(Session& session, std::uint64_t count) {
    const std::vector<std::byte> bytes(count * kClusterSize, std::byte{7});
    ASSERT_FALSE(session.write(bytes, 0));
  }
};

// --- behind the end -------------------------------------------------------------------------

TEST_F(HolesTest, SpaceBehindTheEndIsGivenBackWithoutAnUpload) {
  const auto session = create();
  fillClusters(*session, 4);
  uploadAll(*session);
  EXPECT_FALSE(session->holdsSpaceBehindEnd());
  shrink(*session, kClusterSize + kBlockSize + 1);
  EXPECT_TRUE(session->holdsSpaceBehindEnd());
  ASSERT_FALSE(session->checkpoint());
  ASSERT_FALSE(session->releaseBehindEnd());
  EXPECT_LE(allocated(), kClusterSize + 4 * kBlockSize);
  EXPECT_FALSE(session->holdsSpaceBehindEnd());
  EXPECT_FALSE(anyDirty(*session));
  EXPECT_EQ(localBlock(*session, kBlocksPerCluster + 1), blockOf(7)) << "the end lies in it";
  // The server still holds what lay there.
  grow(*session, 3 * kClusterSize);
  EXPECT_EQ(localBlock(*session, kBlocksPerCluster + 2), blockOf(0));
  EXPECT_EQ(session->dirtyCounts(clock_.now()).old, 2U);
  EXPECT_EQ(session->takeDirty(clock_.now()), 1U);
  EXPECT_EQ(session->takeDirty(clock_.now()), 2U);
}

TEST_F(HolesTest, NothingIsGivenBackThatAPowerCutCouldBringBack) {
  const auto session = create();
  fillClusters(*session, 3);
  ASSERT_FALSE(session->checkpoint());
  const std::uint64_t full = allocated();
  shrink(*session, kClusterSize);
  ASSERT_FALSE(session->releaseBehindEnd());
  EXPECT_EQ(allocated(), full) << "after a power cut the image would be as large as before";
  // A size that came and went counts as well, once a checkpoint had it.
  ASSERT_FALSE(session->checkpoint());
  grow(*session, 2 * kClusterSize);
  ASSERT_FALSE(session->write(std::vector<std::byte>(kClusterSize, std::byte{8}), kClusterSize));
  ASSERT_FALSE(session->checkpoint());
  shrink(*session, kClusterSize);
  ASSERT_FALSE(session->releaseBehindEnd());
  EXPECT_GE(allocated(), 2 * kClusterSize);
  ASSERT_FALSE(session->checkpoint());
  ASSERT_FALSE(session->releaseBehindEnd());
  EXPECT_LE(allocated(), kClusterSize + 4 * kBlockSize);
}

TEST_F(HolesTest, WhatIsKeptMayLieBetweenWhatIsGivenBack) {
  const auto session = create();
  const std::vector<std::byte> bytes(kClusterSize, std::byte{7});
  for (const std::uint64_t cluster : {5U, 4U, 0U, 3U, 1U, 2U}) {
    ASSERT_FALSE(session->write(bytes, cluster * kClusterSize));
  }
  shrink(*session, 2 * kClusterSize);
  ASSERT_FALSE(session->checkpoint());
  ASSERT_FALSE(session->releaseBehindEnd());
  EXPECT_LE(allocated(), 2 * kClusterSize + 4 * kBlockSize);
  for (std::uint64_t block = 0; block < 2 * kBlocksPerCluster; ++block) {
    ASSERT_EQ(localBlock(*session, block), blockOf(7)) << block;
  }
}

TEST_F(HolesTest, ReservedSpaceBehindTheEndIsGivenBackToo) {
  const auto session = create(kClusterSize);
  ASSERT_FALSE(session->reserve(0, 3 * kClusterSize));
  ASSERT_GE(allocated(), 3 * kClusterSize);
  shrink(*session, kBlockSize);
  ASSERT_FALSE(session->checkpoint());
  ASSERT_FALSE(session->releaseBehindEnd());
  EXPECT_LE(allocated(), 3 * kBlockSize);
}

TEST_F(HolesTest, SpaceBehindTheEndIsFoundByTheNextOpener) {
  auto session = create();
  fillClusters(*session, 2);
  shrink(*session, kBlockSize);
  ASSERT_FALSE(session->close());
  session.reset();
  session = open();
  EXPECT_TRUE(session->holdsSpaceBehindEnd());
  ASSERT_FALSE(session->releaseBehindEnd());
  EXPECT_LE(allocated(), 3 * kBlockSize);
}

// --- data and holes -------------------------------------------------------------------------

TEST_F(HolesTest, DataIsWhatTheBaseHasAndWhatIsWritten) {
  const auto session = create(kClusterSize + 100);
  ASSERT_FALSE(session->setSizes(4 * kTableSpan, kClusterSize + 100));
  ASSERT_FALSE(session->zero(2 * kBlockSize, 3 * kBlockSize));
  ASSERT_FALSE(session->write(blockOf(1), kTableSpan + 7 * kBlockSize));
  const std::uint64_t end = 4 * kTableSpan;
  struct Run {
    std::uint64_t begin;
    std::uint64_t end;
  };
  const Run data[] = {{0, 2 * kBlockSize},
                      {5 * kBlockSize, kClusterSize + kBlockSize},
                      {kTableSpan + 7 * kBlockSize, kTableSpan + 8 * kBlockSize}};
  std::uint64_t at = 0;
  for (const Run& run : data) {
    std::uint64_t found = 1;
    ASSERT_FALSE(session->findData(at, end, found));
    EXPECT_EQ(found, run.begin);
    ASSERT_FALSE(session->findHole(found + 1, end, found));
    EXPECT_EQ(found, run.end);
    at = found;
  }
  std::uint64_t found = 0;
  ASSERT_FALSE(session->findData(at, end, found));
  EXPECT_EQ(found, end);
  ASSERT_FALSE(session->findHole(at + 5, end, found));
  EXPECT_EQ(found, at + 5);
  ASSERT_FALSE(session->findHole(0, kBlockSize + 1, found));
  EXPECT_EQ(found, kBlockSize + 1) << "not beyond where the search ends";
}

TEST_F(HolesTest, ALargeSparseImageIsSearchedByTable) {
  NewSession settings = test::sessionSettings(kBlockSize);
  settings.maxImageSize = kLargestImageSize;
  const auto session = create(settings);
  ASSERT_FALSE(session->setSizes(kLargestImageSize, kBlockSize));
  const std::uint64_t last = kLargestImageSize - kBlockSize;
  ASSERT_FALSE(session->write(blockOf(1), last));
  std::uint64_t found = 0;
  for (int i = 0; i < 100; ++i) {
    ASSERT_FALSE(session->findData(kBlockSize, kLargestImageSize, found));
    ASSERT_EQ(found, last);
  }
  ASSERT_FALSE(session->findHole(last, kLargestImageSize, found));
  EXPECT_EQ(found, kLargestImageSize);
}

}  // namespace
}  // namespace netcow
