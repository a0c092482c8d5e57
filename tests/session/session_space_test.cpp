// SPDX-License-Identifier: Apache-2.0
// What a session takes on the disk: reserved space, limits, full disks, space behind the end.
#include <gmock/gmock.h>

#include <cerrno>
#include <map>
#include <set>

#include "base/errors.h"
#include "session/session_fixture.h"
#include "support/seeded_random.h"

namespace netcow {
namespace {

using test::blockOf;
using test::FileCall;
using test::localBlock;
using test::SeededRandom;

std::vector<std::byte> manyBlocks(std::uint64_t count, unsigned value) {
  return std::vector<std::byte>(count * kBlockSize, static_cast<std::byte>(value));
}

class SpaceTest : public test::HookedSessionTest {};

/// A file with many extents takes a block of ext4 for their list, which counts as the file's.
constexpr std::uint64_t kListOfExtents = kBlockSize;

// --- usage ----------------------------------------------------------------------------------

/// Against a look at each block.
TEST_F(SpaceTest, UsageCountsTheBaseWhereNothingCoversItAndWhatDataTakes) {
  SeededRandom random;
  constexpr std::uint64_t kBlocks = 4 * kBlocksPerCluster;
  auto session = create(kBlocks * kBlockSize - 5000);
  for (int step = 0; step < 400; ++step) {
    const std::uint64_t block = random.between(0, kBlocks - 12);
    const std::uint64_t count = random.between(1, 10);
    const std::uint64_t choice = random.between(0, 99);
    bool filled = false;
    if (choice < 50) {
      ASSERT_FALSE(session->write(manyBlocks(count, 1), block * kBlockSize));
    } else if (choice < 70) {
      ASSERT_FALSE(session->fill(block, blockOf(2), filled));
    } else if (choice < 90) {
      ASSERT_FALSE(session->zero(block * kBlockSize, count * kBlockSize));
    } else if (choice < 92) {
      const std::uint64_t visible = random.between(0, session->validRemoteSize());
      ASSERT_FALSE(session->setSizes(kBlocks * kBlockSize, visible));
    } else if (choice < 95) {
      ASSERT_FALSE(session->close());
      session.reset();
      session = open();
    }
    std::uint64_t bare = 0;
    for (std::uint64_t n = 0; n * kBlockSize < session->validRemoteSize(); ++n) {
      bare += session->isLocal(n) ? 0U : 1U;
    }
    Session::Usage usage;
    ASSERT_FALSE(session->usage(usage));
    ASSERT_EQ(usage.dataBytes + kBlockSize, bare * kBlockSize + allocated()) << "step " << step;
  }
}

TEST_F(SpaceTest, UsageTellsHowMuchTheLimitLeaves) {
  const auto session = create();
  session->limitLocal(10 * kClusterSize);
  Session::Usage before;
  ASSERT_FALSE(session->usage(before));
  EXPECT_LE(before.freeBytes, 10 * kClusterSize - kBlockSize);
  ASSERT_FALSE(session->write(manyBlocks(100, 1), 0));
  Session::Usage after;
  ASSERT_FALSE(session->usage(after));
  EXPECT_LE(after.freeBytes, before.freeBytes - 100 * kBlockSize);
}

// --- reserving ------------------------------------------------------------------------------

TEST_F(SpaceTest, ReservingTakesSpaceAndChangesNothingElse) {
  auto session = create();
  ASSERT_FALSE(session->write(blockOf(5), kClusterSize));
  uploadAll(*session);
  const std::uint64_t before = allocated();
  ASSERT_FALSE(session->reserve(kClusterSize - 100, kClusterSize));
  EXPECT_GE(allocated(), before + kClusterSize - kBlockSize);
  EXPECT_FALSE(anyDirty(*session));
  EXPECT_FALSE(session->isLocal(kBlocksPerCluster - 1));
  EXPECT_FALSE(session->isLocal(kBlocksPerCluster + 1));
  EXPECT_EQ(localBlock(*session, kBlocksPerCluster), blockOf(5));
  for (const bool clean : {false, true}) {
    if (clean) {
      ASSERT_FALSE(session->close());
    }
    session.reset();
    session = open();
    EXPECT_EQ(session->localClusterCount(), 2U) << "the place is kept";
    EXPECT_FALSE(anyDirty(*session));
  }
  const std::uint64_t reserved = allocated();
  ASSERT_FALSE(session->write(manyBlocks(300, 6), kClusterSize));
  EXPECT_LE(allocated(), reserved + kBlockSize) << "what was reserved is used";
}

TEST_F(SpaceTest, WritesToWhatWasReservedFindRoomOnAFullDisk) {
  const auto session = create();
  ASSERT_FALSE(session->reserve(0, 10 * kBlockSize));
  hook_ = test::whenDiskIsFull;
  EXPECT_EQ(session->write(blockOf(1), 10 * kBlockSize).value(), ENOSPC);
  ASSERT_FALSE(session->write(manyBlocks(9, 2), 0));
  bool filled = false;
  ASSERT_FALSE(session->fill(9, blockOf(3), filled));
  ASSERT_FALSE(session->checkpoint());
  EXPECT_EQ(localBlock(*session, 8), blockOf(2));
  EXPECT_EQ(localBlock(*session, 9), blockOf(3));
}

TEST_F(SpaceTest, OpeningOnAFullDiskSaysWhatToDoAndLosesNothing) {
  auto session = create();
  ASSERT_FALSE(session->write(blockOf(1), 0));
  ASSERT_FALSE(session->close());
  session.reset();
  hook_ = test::whenDiskIsFull;
  try {
    session = open();
    FAIL() << "opened without room for live";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("/live: No space left on device; make room"));
  }
  hook_ = {};
  session = open();
  EXPECT_EQ(localBlock(*session, 0), blockOf(1));
}

/// The first change of a mount copies a table to `live`.
TEST_F(SpaceTest, ASessionOpenedBeforeTheDiskWasFullCanBeOverwrittenAndDiscarded) {
  auto session = create();
  ASSERT_FALSE(session->write(manyBlocks(10, 1), 0));
  ASSERT_FALSE(session->write(manyBlocks(10, 1), kTableSpan));
  ASSERT_FALSE(session->reserve(2 * kTableSpan, kBlockSize));
  uploadAll(*session);
  ASSERT_FALSE(session->close());
  session.reset();
  session = open();
  hook_ = test::whenDiskIsFull;
  EXPECT_FALSE(session->write(blockOf(2), 0));
  EXPECT_FALSE(session->zero(kTableSpan, 10 * kBlockSize));
  EXPECT_FALSE(session->write(blockOf(3), 2 * kTableSpan));
  EXPECT_FALSE(session->checkpoint());
  EXPECT_EQ(localBlock(*session, 0), blockOf(2));
  EXPECT_EQ(localBlock(*session, kTableSpan / kBlockSize), blockOf(0));
  EXPECT_EQ(localBlock(*session, 2 * kTableSpan / kBlockSize), blockOf(3));
}

TEST_F(SpaceTest, ASessionOpenedWithoutRoomForItsTablesIsReadAndUploaded) {
  auto session = create();
  ASSERT_FALSE(session->write(blockOf(1), 0));
  ASSERT_FALSE(session->close());
  session.reset();
  hook_ = [](const FileCall& call) {
    return call.kind == FileCall::Kind::reserve ? errnoCode(ENOSPC) : std::error_code{};
  };
  session = open();
  hook_ = test::whenDiskIsFull;
  EXPECT_EQ(localBlock(*session, 0), blockOf(1));
  EXPECT_EQ(session->write(blockOf(2), kBlockSize).value(), ENOSPC);
  uploadAll(*session);
  hook_ = nullptr;
  EXPECT_FALSE(session->write(blockOf(2), kBlockSize));
  EXPECT_TRUE(anyDirty(*session));
}

TEST_F(SpaceTest, ReservingWhatDoesNotFitGivesBackWhatItTook) {
  const auto session = create();
  ASSERT_FALSE(session->write(manyBlocks(320, 1), kClusterSize));
  ASSERT_FALSE(session->reserve(0, kBlockSize));
  const std::uint64_t before = allocated();
  // The third cluster finds the disk full, though it seemed to have room.
  hook_ = [](const FileCall& call) {
    const bool third = call.kind == FileCall::Kind::reserve && call.offset >= 3 * kClusterSize;
    return third ? errnoCode(ENOSPC) : std::error_code{};
  };
  EXPECT_EQ(session->reserve(0, 4 * kClusterSize).value(), ENOSPC);
  EXPECT_LE(allocated(), before + kListOfExtents);
  hook_ = nullptr;
  EXPECT_EQ(localBlock(*session, kBlocksPerCluster + 319), blockOf(1));
  EXPECT_FALSE(session->reserve(0, 4 * kClusterSize));
}

TEST_F(SpaceTest, ReservingWhatDoesNotFitKeepsWhatWasReservedBefore) {
  const auto session = create();
  const std::uint64_t earlier = 100 * kBlockSize;
  ASSERT_FALSE(session->reserve(50 * kBlockSize, earlier));
  const std::uint64_t before = allocated();
  hook_ = [](const FileCall& call) {
    const bool second = call.kind == FileCall::Kind::reserve && call.offset >= 2 * kClusterSize;
    return second ? errnoCode(ENOSPC) : std::error_code{};
  };
  EXPECT_EQ(session->reserve(0, 2 * kClusterSize).value(), ENOSPC);
  EXPECT_GE(allocated(), before) << "what was reserved before stays";
  EXPECT_LE(allocated(), before + kListOfExtents);
}

TEST_F(SpaceTest, ReservingMoreThanIsFreeTakesNothing) {
  const auto session = create();
  std::uint64_t reserved = 0;
  hook_ = [&reserved](const FileCall& call) {
    reserved += call.kind == FileCall::Kind::reserve ? call.length : 0;
    return call.kind == FileCall::Kind::freeBytes ? errnoCode(ENOSPC) : std::error_code{};
  };
  EXPECT_EQ(session->reserve(0, kTableSpan).value(), ENOSPC);
  EXPECT_EQ(reserved, 0U);
  EXPECT_EQ(session->localClusterCount(), 0U);
}

TEST_F(SpaceTest, ReservingIsRefusedWhereTheFileSystemCannot) {
  const auto session = create();
  hook_ = [](const FileCall& call) {
    return call.kind == FileCall::Kind::reserve ? errnoCode(EOPNOTSUPP) : std::error_code{};
  };
  EXPECT_EQ(session->reserve(0, kBlockSize).value(), EOPNOTSUPP);
  EXPECT_EQ(session->reserve(session->maxImageSize(), 2 * kBlockSize).value(), EFBIG);
  ASSERT_FALSE(session->write(blockOf(1), 0));
  EXPECT_EQ(localBlock(*session, 0), blockOf(1));
}

TEST_F(SpaceTest, ReservedClustersAreNotSentToANewUpload) {
  const auto session = create();
  ASSERT_FALSE(session->reserve(0, kBlockSize));
  ASSERT_FALSE(session->write(blockOf(1), kClusterSize));
  ASSERT_FALSE(session->setUploadUuid("another", true));
  EXPECT_EQ(session->takeDirty(clock_.now()), 1U);
  EXPECT_FALSE(anyDirty(*session));
}

// --- limits ---------------------------------------------------------------------------------

TEST_F(SpaceTest, AtTheLimitOnlyWhatIsThereCanBeWritten) {
  const auto session = create();
  ASSERT_FALSE(session->write(manyBlocks(8, 1), 0));
  session->limitLocal(allocated() + 2 * kBlockSize);
  ASSERT_FALSE(session->write(manyBlocks(2, 2), 100 * kBlockSize));
  EXPECT_EQ(session->write(blockOf(3), 200 * kBlockSize).value(), ENOSPC);
  bool filled = false;
  EXPECT_EQ(session->fill(200, blockOf(3), filled).value(), ENOSPC);
  EXPECT_EQ(session->reserve(kClusterSize, kBlockSize).value(), ENOSPC);
  EXPECT_FALSE(session->isLocal(200));
  EXPECT_FALSE(session->write(manyBlocks(8, 4), 0)) << "these have their space";
  ASSERT_FALSE(session->checkpoint());
  ASSERT_FALSE(session->zero(kBlockSize, kBlockSize));
  EXPECT_FALSE(session->write(blockOf(5), 200 * kBlockSize)) << "a discard made room";
  EXPECT_EQ(session->write(blockOf(6), kBlockSize).value(), ENOSPC) << "it is a hole now";
  EXPECT_EQ(localBlock(*session, 1), blockOf(0));
  EXPECT_EQ(localBlock(*session, 7), blockOf(4));
  EXPECT_EQ(localBlock(*session, 200), blockOf(5));
}

TEST_F(SpaceTest, OpenedWithALimitItPassedAlreadyGoesOnWithWhatItHas) {
  auto session = create();
  ASSERT_FALSE(session->write(manyBlocks(8, 1), 0));
  ASSERT_FALSE(session->close());
  session.reset();
  session = open();
  session->limitLocal(kBlockSize);
  EXPECT_EQ(localBlock(*session, 7), blockOf(1));
  EXPECT_FALSE(session->write(manyBlocks(8, 2), 0));
  EXPECT_EQ(session->write(blockOf(2), 8 * kBlockSize).value(), ENOSPC);
  EXPECT_EQ(localBlock(*session, 7), blockOf(2));
}

// --- a full disk ----------------------------------------------------------------------------

TEST_F(SpaceTest, ACheckpointThatFoundNoRoomSucceedsLater) {
  auto session = create();
  ASSERT_FALSE(session->write(blockOf(1), 0));
  ASSERT_FALSE(session->setSizes(kTableSpan, kTableSpan));
  hook_ = [](const FileCall& call) {
    const bool meta = call.kind == FileCall::Kind::write && call.file == "meta";
    return meta ? errnoCode(ENOSPC) : std::error_code{};
  };
  EXPECT_EQ(session->checkpoint().value(), ENOSPC);
  EXPECT_TRUE(session->needsCheckpoint());
  hook_ = nullptr;
  EXPECT_FALSE(session->checkpoint());
  EXPECT_FALSE(session->needsCheckpoint());
  ASSERT_FALSE(session->close());
  session.reset();
  EXPECT_EQ(localBlock(*open(), 0), blockOf(1));
}

/// What blocks may hold, each full of one value: after an error the old one or the new one.
class UncertainBlocks {
 public:
  void change(std::uint64_t first, std::uint64_t count, unsigned value, bool failed) {
    for (std::uint64_t block = first; block < first + count; ++block) {
      auto& values = blocks_.try_emplace(block, std::set{kNotLocal}).first->second;
      if (!failed) {
        values.clear();
      }
      values.insert(value);
    }
  }
  void expectIn(const Session& session) const {
    for (const auto& [block, values] : blocks_) {
      const auto content = localBlock(session, block);
      const unsigned value = content ? static_cast<unsigned>(content->front()) : kNotLocal;
      ASSERT_TRUE(values.contains(value)) << "block " << block << " holds " << value;
      ASSERT_TRUE(!content || *content == blockOf(value)) << "block " << block;
    }
  }

 private:
  static constexpr unsigned kNotLocal = 256;
  std::map<std::uint64_t, std::set<unsigned>> blocks_;
};

TEST_F(SpaceTest, ADiskThatIsFullNowAndThenCostsErrorsAndNothingElse) {
  SeededRandom random;
  auto session = create();
  UncertainBlocks model;
  int errors = 0;
  const auto expectFull = [&errors](const std::error_code& error) {
    EXPECT_TRUE(!error || error.value() == ENOSPC) << error.message();
    errors += error ? 1 : 0;
    return static_cast<bool>(error);
  };
  for (int step = 0; step < 2'000 && !HasFailure(); ++step) {
    const std::uint64_t first =
        random.between(0, 9) * (kTableSpan / kBlockSize / 4) + random.between(0, 400);
    const std::uint64_t count = random.between(1, 12);
    switch (random.between(0, 9)) {
      case 0:
        if (random.oneIn(2)) {
          hook_ = test::whenDiskIsFull;
        } else {
          hook_ = nullptr;
        }
        break;
      case 1:
        model.change(first, count, 0,
                     expectFull(session->zero(first * kBlockSize, count * kBlockSize)));
        break;
      case 2:
        expectFull(session->checkpoint());
        break;
      case 3:
        expectFull(session->reserve(first * kBlockSize, count * kBlockSize));
        break;
      case 4:
        if (random.oneIn(10)) {
          hook_ = nullptr;
          ASSERT_FALSE(session->checkpoint()) << "there is room again";
          if (random.oneIn(2)) {
            ASSERT_FALSE(session->close());
          }
          session.reset();
          session = open();
        }
        break;
      default: {
        const auto value = static_cast<unsigned>(random.between(1, 255));
        model.change(first, count, value,
                     expectFull(session->write(manyBlocks(count, value), first * kBlockSize)));
      }
    }
  }
  EXPECT_GT(errors, 20);
  hook_ = nullptr;
  model.expectIn(*session);
}

}  // namespace
}  // namespace netcow
