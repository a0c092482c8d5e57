// SPDX-License-Identifier: Apache-2.0
#include "session/session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "base/errors.h"
#include "session/session_fixture.h"
#include "support/fake_clock.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::blockOf;
using test::FakeClock;
using test::FileCall;
using test::localBlock;
using test::SeededRandom;
using test::sessionSettings;
using test::TemporaryDirectory;

class SessionTest : public testing::Test {
 protected:
  std::unique_ptr<Session> create(std::uint64_t baseSize = 3 * kTableSpan) {
    return Session::create(directory_, sessionSettings(baseSize), clock_);
  }
  std::unique_ptr<Session> open() { return Session::open(directory_, clock_); }

  TemporaryDirectory temporary_;
  const std::string directory_ = temporary_ / "session";
  FakeClock clock_;
};

TEST_F(SessionTest, IsEmptyWhenNew) {
  const auto session = create(10'000);
  EXPECT_EQ(session->imageName(), "lab/windows");
  EXPECT_EQ(session->imageSize(), 10'000U);
  EXPECT_EQ(session->validRemoteSize(), 10'000U);
  EXPECT_EQ(session->localClusterCount(), 0U);
  EXPECT_FALSE(session->oldestDirty().has_value());
  EXPECT_FALSE(session->runAt(0, 10'000).local);
}

TEST_F(SessionTest, KeepsBlocksOverACleanClose) {
  {
    const auto session = create();
    ASSERT_FALSE(session->write(blockOf(7), 5 * kBlockSize));
    ASSERT_FALSE(session->write(blockOf(9), kTableSpan + 3 * kClusterSize));
    ASSERT_FALSE(session->close());
  }
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/live"));
  const auto session = open();
  EXPECT_EQ(session->recovery(), "");
  EXPECT_EQ(localBlock(*session, 5), blockOf(7));
  EXPECT_EQ(localBlock(*session, (kTableSpan + 3 * kClusterSize) / kBlockSize), blockOf(9));
  EXPECT_FALSE(localBlock(*session, 6).has_value());
}

TEST_F(SessionTest, LosesNothingWhenTheProcessIsKilled) {
  {
    const auto session = create();
    ASSERT_FALSE(session->write(blockOf(1), 0));
    ASSERT_FALSE(session->checkpoint());
    ASSERT_FALSE(session->write(blockOf(2), kBlockSize));
    ASSERT_FALSE(session->write(blockOf(3), 0));
    ASSERT_FALSE(session->setSizes(kTableSpan, kClusterSize));
    // No close(): the destructor leaves what a killed process would.
  }
  const auto session = open();
  EXPECT_NE(session->recovery(), "");
  EXPECT_EQ(localBlock(*session, 0), blockOf(3));
  EXPECT_EQ(localBlock(*session, 1), blockOf(2));
  EXPECT_EQ(session->imageSize(), kTableSpan);
  EXPECT_EQ(session->validRemoteSize(), kClusterSize);
}

TEST_F(SessionTest, RefusesASecondOpener) {
  const auto session = create();
  try {
    open();
    FAIL() << "opened twice";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("in use by process " + std::to_string(::getpid())),
              std::string::npos)
        << error.what();
  }
}

TEST_F(SessionTest, TakesOverASessionWithoutClusters) {
  {
    create(4096);
  }
  const auto session = create(8192);
  EXPECT_EQ(session->imageSize(), 8192U);
}

TEST_F(SessionTest, RefusesToReplaceASessionWithClusters) {
  {
    const auto session = create();
    ASSERT_FALSE(session->write(blockOf(1), 0));
  }
  EXPECT_THROW(create(), UserError);
  EXPECT_EQ(localBlock(*open(), 0), blockOf(1));
}

TEST_F(SessionTest, RefusesWhatIsTooLong) {
  NewSession longUuid = sessionSettings(4096);
  longUuid.uploadUuid = std::string(37, 'a');
  EXPECT_THROW(Session::create(directory_, longUuid, clock_), UserError);
  NewSession longName = sessionSettings(4096);
  longName.imageName = std::string(200, 'a');
  EXPECT_THROW(Session::create(directory_, longName, clock_), UserError);
  NewSession whole = sessionSettings(4096);
  whole.uploadUuid = std::string(36, 'b');
  EXPECT_EQ(Session::create(directory_, whole, clock_)->uploadUuid(), std::string(36, 'b'));
}

TEST_F(SessionTest, FillStandsBackForAWrite) {
  const auto session = create();
  ASSERT_FALSE(session->write(blockOf(5), 0));
  bool filled = true;
  ASSERT_FALSE(session->fill(0, blockOf(6), filled));
  EXPECT_FALSE(filled);
  EXPECT_EQ(localBlock(*session, 0), blockOf(5));
  ASSERT_FALSE(session->fill(1, blockOf(6), filled));
  EXPECT_TRUE(filled);
  EXPECT_EQ(localBlock(*session, 1), blockOf(6));
}

TEST_F(SessionTest, ZeroesOnlyWhatIsLocal) {
  const auto session = create();
  ASSERT_FALSE(session->write(blockOf(5), 0));
  ASSERT_FALSE(session->write(blockOf(5), 2 * kBlockSize));
  ASSERT_FALSE(session->zeroLocal(100, 2 * kBlockSize));
  auto expected = blockOf(5);
  std::fill(expected.begin() + 100, expected.end(), std::byte{0});
  EXPECT_EQ(localBlock(*session, 0), expected);
  EXPECT_FALSE(session->isLocal(1));
  expected = blockOf(5);
  std::fill(expected.begin(), expected.begin() + 100, std::byte{0});
  EXPECT_EQ(localBlock(*session, 2), expected);
}

TEST_F(SessionTest, AChangeDuringAnUploadLeavesTheClusterDirty) {
  const auto session = create();
  ASSERT_FALSE(session->write(blockOf(1), 0));
  ASSERT_EQ(session->takeDirty(clock_.now()), 0U);
  EXPECT_FALSE(session->takeDirty(clock_.now()).has_value()) << "it is checked out";
  const auto snapshot = session->snapshot(0);
  ASSERT_FALSE(session->write(blockOf(2), 0));
  EXPECT_FALSE(session->acknowledgeUpload(0, snapshot.changes));
  ASSERT_EQ(session->takeDirty(clock_.now()), 0U);
  EXPECT_TRUE(session->acknowledgeUpload(0, session->snapshot(0).changes));
  EXPECT_FALSE(session->oldestDirty().has_value());
  ASSERT_FALSE(session->write(blockOf(3), 0));
  EXPECT_EQ(session->takeDirty(clock_.now()), 0U);
}

TEST_F(SessionTest, GivesOutClustersOnlyWhenTheyAreOldEnough) {
  const auto session = create();
  ASSERT_FALSE(session->write(blockOf(1), 0));
  clock_.advance(std::chrono::seconds(30));
  ASSERT_FALSE(session->write(blockOf(1), kClusterSize));
  ASSERT_FALSE(session->write(blockOf(2), 0));  // changed again: its age begins anew
  clock_.advance(std::chrono::seconds(30));
  const auto sixtySecondsAgo = clock_.now() - std::chrono::seconds(60);
  EXPECT_FALSE(session->takeDirty(sixtySecondsAgo).has_value());
  const auto thirtySecondsAgo = clock_.now() - std::chrono::seconds(30);
  std::set<std::uint64_t> taken;
  while (const auto cluster = session->takeDirty(thirtySecondsAgo)) {
    taken.insert(*cluster);
  }
  EXPECT_EQ(taken, (std::set<std::uint64_t>{0, 1}));
}

TEST_F(SessionTest, RemembersWhatIsDirtyOverAKill) {
  {
    const auto session = create();
    ASSERT_FALSE(session->write(blockOf(1), 0));
    ASSERT_FALSE(session->write(blockOf(1), kClusterSize));
    ASSERT_EQ(session->takeDirty(clock_.now()), 0U);
    ASSERT_TRUE(session->acknowledgeUpload(0, session->snapshot(0).changes));
  }
  const auto session = open();
  EXPECT_EQ(session->takeDirty(clock_.now()), 1U);
  EXPECT_FALSE(session->takeDirty(clock_.now()).has_value());
}

class DurabilityTest : public test::HookedSessionTest {};

TEST_F(DurabilityTest, NothingMayBeSentAfterAFailedSync) {
  const auto session = create();
  ASSERT_FALSE(session->write(blockOf(1), 0));
  hook_ = [](const FileCall& call) {
    return call.kind == FileCall::Kind::sync ? errnoCode(EIO) : std::error_code{};
  };
  EXPECT_EQ(session->checkpoint().value(), EIO);
  hook_ = nullptr;
  EXPECT_EQ(session->snapshot(0).notDurable.value(), EIO) << "was in the checkpoint that failed";
  ASSERT_FALSE(session->write(blockOf(1), kClusterSize));
  EXPECT_EQ(session->snapshot(1).notDurable.value(), EIO) << "was written afterwards";
}

TEST_F(DurabilityTest, NothingMayBeSentThatNoCheckpointCovers) {
  const auto session = create();
  ASSERT_FALSE(session->write(blockOf(1), 0));
  hook_ = [](const FileCall& call) {
    return call.kind == FileCall::Kind::write && call.file == "meta" ? errnoCode(ENOSPC)
                                                                     : std::error_code{};
  };
  EXPECT_EQ(session->snapshot(0).notDurable.value(), ENOSPC);
  EXPECT_EQ(session->snapshot(0).notDurable.value(), ENOSPC);
  hook_ = nullptr;
  EXPECT_FALSE(session->snapshot(0).notDurable);
}

TEST_F(SessionTest, ReplaceClusterKeepsExactlyTheNewestBits) {
  const auto session = create();
  ClusterBits first;
  first.setRange(0, 3);
  ASSERT_FALSE(session->replaceCluster(2, first, std::vector<std::byte>(3 * kBlockSize)));
  ClusterBits second;
  second.set(1);
  second.set(319);
  std::vector<std::byte> content = blockOf(8);
  content.resize(2 * kBlockSize, std::byte{9});
  ASSERT_FALSE(session->replaceCluster(2, second, content));
  EXPECT_FALSE(session->isLocal(2 * kBlocksPerCluster));
  EXPECT_EQ(localBlock(*session, 2 * kBlocksPerCluster + 1), blockOf(8));
  EXPECT_EQ(localBlock(*session, 2 * kBlocksPerCluster + 319), blockOf(9));
  EXPECT_EQ(session->replaceCluster(2, second, blockOf(1)).value(), EINVAL);
  EXPECT_EQ(session->replaceCluster(800'000, second, content).value(), EFBIG);
}

TEST_F(SessionTest, ANewUploadSendsEverythingAgain) {
  const auto session = create();
  ASSERT_FALSE(session->write(blockOf(1), 0));
  ASSERT_EQ(session->takeDirty(clock_.now()), 0U);
  ASSERT_TRUE(session->acknowledgeUpload(0, session->snapshot(0).changes));
  ASSERT_FALSE(session->setUploadUuid("another", true));
  EXPECT_EQ(session->takeDirty(clock_.now()), 0U);
  EXPECT_EQ(session->uploadUuid(), "another");
}

TEST_F(SessionTest, ARunIsNeverEmptyBesideTheFirstWriteOfItsBlock) {
  const auto session = create();
  constexpr std::uint64_t kBlocks = 10 * kBlocksPerCluster;
  std::atomic<std::uint64_t> wrong = 0;
  std::atomic<bool> ended = false;
  std::thread reader([&] {
    for (std::uint64_t block = 0; block < kBlocks && !ended;) {
      const std::uint64_t within = 512;
      const Session::Run run = session->runAt(block * kBlockSize + within, 1024);
      wrong += run.length == 0 || run.length > 1024 ? 1 : 0;
      block += run.local ? 1 : 0;
    }
  });
  for (std::uint64_t block = 0; block < kBlocks; ++block) {
    EXPECT_FALSE(session->write(blockOf(1), block * kBlockSize));
  }
  ended = true;
  reader.join();
  EXPECT_EQ(wrong, 0U);
}

TEST_F(SessionTest, NeverShowsMoreOfTheBaseThanTheImageIsLong) {
  ASSERT_FALSE(create(8192)->close());
  constexpr std::uint64_t kFieldAt = 24;  // validRemoteSize, as docs/formats/session.md says
  for (const std::uint64_t damaged : {std::uint64_t{8193}, ~std::uint64_t{0}}) {
    std::fstream meta(directory_ + "/meta", std::ios::in | std::ios::out | std::ios::binary);
    meta.seekp(kFieldAt);
    for (unsigned i = 0; i < 8; ++i) {
      meta.put(static_cast<char>(damaged >> (8 * i) & 0xFFU));
    }
    meta.close();
    const auto session = open();
    EXPECT_EQ(session->validRemoteSize(), 8192U);
    ASSERT_FALSE(session->close());
  }
}

TEST_F(SessionTest, IsInspectedWhileInUse) {
  const auto session = create();
  ASSERT_FALSE(session->write(blockOf(1), 0));
  ASSERT_FALSE(session->write(blockOf(1), kClusterSize));
  const SessionReport report = inspectSession(directory_);
  EXPECT_TRUE(report.open);
  EXPECT_EQ(report.clusters, 2U);
  EXPECT_EQ(report.dirtyClusters, 2U);
  EXPECT_EQ(report.localBlocks, 2U);
  EXPECT_EQ(report.imageName, "lab/windows");
}

/// Random whole-block and local partial writes, zeroing, checkpoints, kills and clean closes
/// against a map of blocks.
TEST_F(SessionTest, AgreesWithAModelOverKillsAndCloses) {
  SeededRandom random;
  auto session = create();
  std::map<std::uint64_t, std::vector<std::byte>> model;
  const auto someBlock = [&random] {
    // Few places, gathered at the borders of clusters and tables.
    const std::uint64_t base =
        random.between(0, 2) * (kTableSpan / kBlockSize) + random.between(0, 2) * kBlocksPerCluster;
    return base + random.between(0, 3) + (random.oneIn(2) ? kBlocksPerCluster - 3 : 0);
  };
  for (int step = 0; step < 3000; ++step) {
    const std::uint64_t first = someBlock();
    switch (random.between(0, 9)) {
      case 0:
        ASSERT_FALSE(session->checkpoint());
        break;
      case 1: {
        const bool clean = random.oneIn(2);
        if (clean) {
          ASSERT_FALSE(session->close());
        }
        session.reset();
        session = open();
        ASSERT_EQ(session->recovery().empty(), clean);
        break;
      }
      case 2: {
        const std::uint64_t from = first * kBlockSize + random.between(0, 5000);
        const std::uint64_t length = random.between(0, 20'000);
        ASSERT_FALSE(session->zeroLocal(from, length));
        for (std::uint64_t at = from; at < from + length; ++at) {
          const auto entry = model.find(at / kBlockSize);
          if (entry != model.end()) {
            entry->second[at % kBlockSize] = std::byte{0};
          }
        }
        break;
      }
      case 4: {
        const std::uint64_t count = random.between(0, 5);
        ASSERT_FALSE(session->zero(first * kBlockSize, count * kBlockSize));
        for (std::uint64_t i = 0; i < count; ++i) {
          model[first + i] = blockOf(0);
        }
        break;
      }
      case 3: {
        if (const auto entry = model.find(first); entry != model.end()) {
          const std::uint64_t from = random.between(0, kBlockSize - 1);
          const auto bytes = random.bytes(random.between(0, kBlockSize - from));
          ASSERT_FALSE(session->write(bytes, first * kBlockSize + from));
          std::copy(bytes.begin(), bytes.end(),
                    entry->second.begin() + static_cast<std::ptrdiff_t>(from));
        }
        break;
      }
      default: {
        const std::uint64_t count = random.between(0, 5);
        const auto bytes = random.bytes(count * kBlockSize);
        ASSERT_FALSE(session->write(bytes, first * kBlockSize));
        for (std::uint64_t i = 0; i < count; ++i) {
          const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(i * kBlockSize);
          model[first + i].assign(begin, begin + kBlockSize);
        }
      }
    }
  }
  std::uint64_t local = 0;
  session->forEachCluster([&local](const ClusterInfo& info) { local += info.bits.count(); });
  EXPECT_EQ(local, model.size());
  for (const auto& [number, content] : model) {
    ASSERT_EQ(localBlock(*session, number), content) << "block " << number;
  }
}

}  // namespace
}  // namespace netcow
