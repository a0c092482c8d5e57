// SPDX-License-Identifier: Apache-2.0
// Zeroing of whole blocks, as a discard asks for it.
#include <algorithm>
#include <cerrno>
#include <map>
#include <thread>

#include "base/errors.h"
#include "session/session_fixture.h"
#include "support/seeded_random.h"

namespace netcow {
namespace {

using test::blockOf;
using test::localBlock;
using test::SeededRandom;

class ZeroTest : public test::HookedSessionTest {};

std::vector<std::byte> blocksOf(std::uint64_t count, unsigned value) {
  return std::vector<std::byte>(count * kBlockSize, static_cast<std::byte>(value));
}

TEST_F(ZeroTest, GivesTheSpaceOfLocalBlocksBack) {
  const auto session = create();
  ASSERT_FALSE(session->write(blocksOf(kBlocksPerCluster, 7), kClusterSize));
  ASSERT_FALSE(session->checkpoint());
  const std::uint64_t before = allocated();
  ASSERT_GE(before, kClusterSize);
  ASSERT_FALSE(session->zero(kClusterSize + kBlockSize, kClusterSize - kBlockSize));
  EXPECT_LE(allocated(), before - (kClusterSize - 2 * kBlockSize));
  EXPECT_EQ(localBlock(*session, kBlocksPerCluster), blockOf(7));
  EXPECT_EQ(localBlock(*session, kBlocksPerCluster + 1), blockOf(0));
  EXPECT_EQ(localBlock(*session, 2 * kBlocksPerCluster - 1), blockOf(0));
}

TEST_F(ZeroTest, NeedsAnUploadOnceAndNotAgain) {
  const auto session = create();
  ASSERT_FALSE(session->write(blocksOf(10, 7), 0));
  uploadAll(*session);
  ASSERT_FALSE(session->zero(0, 8 * kBlockSize));
  EXPECT_TRUE(anyDirty(*session));
  uploadAll(*session);
  ASSERT_FALSE(session->checkpoint());
  ASSERT_FALSE(session->zero(0, 8 * kBlockSize));
  ASSERT_FALSE(session->zero(3 * kBlockSize, 2 * kBlockSize));
  EXPECT_FALSE(anyDirty(*session)) << "zeros became zeros";
  EXPECT_FALSE(session->needsCheckpoint());
  ASSERT_FALSE(session->zero(0, 9 * kBlockSize));
  EXPECT_TRUE(anyDirty(*session)) << "one block of these was none";
}

TEST_F(ZeroTest, MakesBlocksOfTheBaseLocal) {
  const auto session = create(kClusterSize + kBlockSize + 100);
  // The last block of the base is one in part.
  ASSERT_FALSE(session->zero(kClusterSize - kBlockSize, 10 * kBlockSize));
  for (std::uint64_t block = kBlocksPerCluster - 1; block < kBlocksPerCluster + 2; ++block) {
    EXPECT_EQ(localBlock(*session, block), blockOf(0)) << block;
  }
  EXPECT_FALSE(session->isLocal(kBlocksPerCluster - 2));
  EXPECT_FALSE(session->isLocal(kBlocksPerCluster + 2)) << "nothing of the base is there";
  EXPECT_EQ(session->dirtyCounts(clock_.now()).old, 2U);
}

TEST_F(ZeroTest, CostsNothingWhereNothingIs) {
  const auto session = create(kClusterSize);
  ASSERT_FALSE(session->setSizes(session->maxImageSize(), kClusterSize));
  ASSERT_FALSE(session->checkpoint());
  ASSERT_FALSE(
      session->zero(kClusterSize, roundDown(session->maxImageSize(), kBlockSize) - kClusterSize));
  EXPECT_EQ(session->localClusterCount(), 0U);
  EXPECT_FALSE(session->needsCheckpoint());
}

TEST_F(ZeroTest, RefusesPartsOfBlocksAndWhatIsOutOfRange) {
  const auto session = create();
  EXPECT_EQ(session->zero(1, kBlockSize).value(), EINVAL);
  EXPECT_EQ(session->zero(kBlockSize, kBlockSize - 1).value(), EINVAL);
  const std::uint64_t end = roundUp(session->maxImageSize(), kBlockSize);
  EXPECT_EQ(session->zero(end, kBlockSize).value(), EFBIG);
  EXPECT_EQ(session->zero(kBlockSize, 0 - 2 * kBlockSize).value(), EFBIG);
  EXPECT_FALSE(session->zero(end, 0));
  EXPECT_EQ(session->localClusterCount(), 0U);
}

TEST_F(ZeroTest, DuringAnUploadLeavesTheClusterDirty) {
  const auto session = create();
  ASSERT_FALSE(session->write(blockOf(1), 0));
  ASSERT_EQ(session->takeDirty(clock_.now()), 0U);
  const auto snapshot = session->snapshot(0);
  ASSERT_FALSE(session->zero(0, kBlockSize));
  EXPECT_FALSE(session->acknowledgeUpload(0, snapshot.changes));
  EXPECT_EQ(session->takeDirty(clock_.now()), 0U);
}

TEST_F(ZeroTest, OfZerosDuringAnUploadDoesNotSendItAgain) {
  const auto session = create();
  ASSERT_FALSE(session->write(blockOf(1), 0));
  ASSERT_FALSE(session->zero(0, kBlockSize));
  ASSERT_EQ(session->takeDirty(clock_.now()), 0U);
  const auto snapshot = session->snapshot(0);
  ASSERT_FALSE(session->zero(0, kBlockSize));
  EXPECT_TRUE(session->acknowledgeUpload(0, snapshot.changes));
}

TEST_F(ZeroTest, IsNotUndoneByAFillThatComesLater) {
  const auto session = create();
  ASSERT_FALSE(session->zero(0, 2 * kBlockSize));
  bool filled = true;
  ASSERT_FALSE(session->fill(1, blockOf(9), filled));
  EXPECT_FALSE(filled);
  EXPECT_EQ(localBlock(*session, 1), blockOf(0));
}

TEST_F(ZeroTest, UndoesAFillThatCameBefore) {
  const auto session = create();
  bool filled = false;
  ASSERT_FALSE(session->fill(1, blockOf(9), filled));
  ASSERT_TRUE(filled);
  ASSERT_FALSE(session->zero(0, 2 * kBlockSize));
  EXPECT_EQ(localBlock(*session, 1), blockOf(0));
}

TEST_F(ZeroTest, ShowsNothingOfAWriteThatFailed) {
  const auto session = create();
  ASSERT_FALSE(session->write(blockOf(1), 5 * kBlockSize));
  // Content reaches `data`, but not the bits.
  hook_ = [](const test::FileCall& call) {
    // A hook knows a file by the name it was made under.
    const bool entry = call.kind == test::FileCall::Kind::write && call.file.starts_with("live");
    return entry ? errnoCode(ENOSPC) : std::error_code{};
  };
  EXPECT_EQ(session->write(blockOf(2), 0).value(), ENOSPC);
  EXPECT_FALSE(session->isLocal(0));
  hook_ = nullptr;
  ASSERT_FALSE(session->zero(0, 2 * kBlockSize));
  EXPECT_EQ(localBlock(*session, 0), blockOf(0));
}

TEST_F(ZeroTest, SurvivesAKill) {
  auto session = create();
  ASSERT_FALSE(session->write(blocksOf(4, 7), 0));
  uploadAll(*session);
  ASSERT_FALSE(session->zero(kBlockSize, kTableSpan));
  session.reset();
  session = open();
  EXPECT_EQ(localBlock(*session, 0), blockOf(7));
  EXPECT_EQ(localBlock(*session, 1), blockOf(0));
  EXPECT_EQ(localBlock(*session, kTableSpan / kBlockSize), blockOf(0));
  EXPECT_FALSE(session->isLocal(kTableSpan / kBlockSize + 1));
  EXPECT_EQ(session->dirtyCounts(clock_.now()).old, kClustersPerTable + 1);
}

// --- with uploads ---------------------------------------------------------------------------

/// What a server would hold: the newest upload of each cluster.
class FakeServer {
 public:
  using Blocks = std::map<std::uint64_t, std::vector<std::byte>>;

  static Blocks read(const Session& session, std::uint64_t cluster, const ClusterBits& bits) {
    Blocks blocks;
    for (std::uint64_t i = bits.findNext(0, true); i < kBlocksPerCluster;
         i = bits.findNext(i + 1, true)) {
      std::vector<std::byte> content(kBlockSize);
      EXPECT_FALSE(session.readBlocks(cluster, i, content));
      blocks[i] = std::move(content);
    }
    return blocks;
  }
  void take(std::uint64_t cluster, Blocks blocks) { clusters_[cluster] = std::move(blocks); }

  /// Every cluster that is called clean must be here as it is there, as far as the image reaches.
  void expectCleanClustersAsIn(const Session& session) const {
    session.forEachCluster([&](const ClusterInfo& info) {
      if (info.dirty || info.bits.none()) {
        return;
      }
      const auto found = clusters_.find(info.cluster);
      for (const auto& [block, content] : read(session, info.cluster, info.bits)) {
        if ((info.cluster * kBlocksPerCluster + block) * kBlockSize >= session.imageSize()) {
          continue;
        }
        ASSERT_TRUE(found != clusters_.end() && found->second.contains(block) &&
                    found->second.at(block) == content)
            << "cluster " << info.cluster << " is called clean, block " << block << " is not";
      }
    });
  }

 private:
  std::map<std::uint64_t, Blocks> clusters_;
};

/// Writes, zeroing, changes of size with the space given back, uploads that are under way
/// meanwhile, kills and closes.
class ZeroModel {
 public:
  ZeroModel(const std::string& directory, Clock& clock, SeededRandom& random)
      : directory_(directory), clock_(clock), random_(random) {
    session_ = Session::create(directory_, test::sessionSettings(kBlocks * kBlockSize), clock_);
  }

  void run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      doStep();
    }
    finishUpload();
    server_.expectCleanClustersAsIn(*session_);
    for (std::uint64_t block = 0; block < sizeNow(); ++block) {
      const auto found = model_.find(block);
      ASSERT_EQ(localBlock(*session_, block).has_value(), found != model_.end()) << block;
      if (found != model_.end()) {
        ASSERT_EQ(localBlock(*session_, block), blockOf(found->second)) << block;
      }
    }
  }

 private:
  static constexpr std::uint64_t kBlocks = 2 * kBlocksPerCluster + 40;

  [[nodiscard]] std::uint64_t sizeNow() const { return session_->imageSize() / kBlockSize; }
  std::uint64_t someBlock() {
    const std::uint64_t center = random_.between(0, 2) * kBlocksPerCluster;
    return std::min(kBlocks - 1, center + random_.between(0, 30));
  }

  void doStep() {
    const std::uint64_t first = someBlock();
    const std::uint64_t last = std::min(first + random_.between(0, 20), kBlocks - 1);
    switch (random_.between(0, 11)) {
      case 0:
      case 1:
      case 2:
        write(first, last);
        break;
      case 3:
      case 4:
      case 5:
        zero(first, last);
        break;
      case 6:
        shrink(first);
        break;
      case 7:
        grow(last);
        break;
      case 8:
      case 9:
        upload_ ? finishUpload() : beginUpload();
        break;
      case 10:
        ASSERT_FALSE(session_->checkpoint());
        break;
      default:
        if (random_.oneIn(5)) {
          reopen();
        }
    }
    server_.expectCleanClustersAsIn(*session_);
  }

  void write(std::uint64_t first, std::uint64_t last) {
    grow(last + 1);
    const auto value = static_cast<unsigned>(random_.between(1, 255));
    ASSERT_FALSE(session_->write(blocksOf(last + 1 - first, value), first * kBlockSize));
    for (std::uint64_t block = first; block <= last; ++block) {
      model_[block] = value;
    }
  }
  void zero(std::uint64_t first, std::uint64_t last) {
    last = std::min(last + 1, sizeNow());
    if (first >= last) {
      return;
    }
    const std::uint64_t visible = session_->validRemoteSize() / kBlockSize;
    ASSERT_FALSE(session_->zero(first * kBlockSize, (last - first) * kBlockSize));
    for (std::uint64_t block = first; block < last; ++block) {
      if (model_.contains(block) || block < visible) {
        model_[block] = 0;
      }
    }
  }
  void shrink(std::uint64_t blocks) {
    if (blocks >= sizeNow()) {
      return;
    }
    const std::uint64_t visible = std::min(session_->validRemoteSize(), blocks * kBlockSize);
    ASSERT_FALSE(session_->setSizes(blocks * kBlockSize, visible));
    if (random_.oneIn(2)) {
      ASSERT_FALSE(session_->checkpoint());
    }
    ASSERT_FALSE(session_->releaseBehindEnd());
  }
  void grow(std::uint64_t blocks) {
    const std::uint64_t size = sizeNow();
    if (blocks <= size) {
      return;
    }
    ASSERT_FALSE(session_->zeroLocal(size * kBlockSize, (blocks - size) * kBlockSize));
    ASSERT_FALSE(session_->setSizes(blocks * kBlockSize, session_->validRemoteSize()));
    for (auto& [block, value] : model_) {
      value = block >= size && block < blocks ? 0 : value;
    }
  }
  void beginUpload() {
    if (const auto cluster = session_->takeDirty(clock_.now())) {
      upload_ = Upload{*cluster, session_->snapshot(*cluster), {}};
      upload_->blocks = FakeServer::read(*session_, *cluster, upload_->snapshot.bits);
    }
  }
  void finishUpload() {
    if (upload_) {
      server_.take(upload_->cluster, std::move(upload_->blocks));
      session_->acknowledgeUpload(upload_->cluster, upload_->snapshot.changes);
      upload_.reset();
    }
  }
  void reopen() {
    finishUpload();
    if (random_.oneIn(2)) {
      ASSERT_FALSE(session_->close());
    }
    session_.reset();
    session_ = Session::open(directory_, clock_);
  }

  struct Upload {
    std::uint64_t cluster;
    Session::Snapshot snapshot;
    FakeServer::Blocks blocks;
  };
  const std::string directory_;
  Clock& clock_;
  SeededRandom& random_;
  std::unique_ptr<Session> session_;
  std::map<std::uint64_t, unsigned> model_;  ///< local blocks, each full of one value
  FakeServer server_;
  std::optional<Upload> upload_;
};

TEST_F(ZeroTest, CallsNoClusterCleanThatTheServerDoesNotHold) {
  SeededRandom random;
  ZeroModel model(temporary_ / "session", clock_, random);
  model.run(2'000);
}

TEST_F(ZeroTest, BesideWritesFillsAndUploadsLosesNoChange) {
  SeededRandom random;
  const auto session = create();
  constexpr std::uint64_t kBlocks = 12;
  const auto change = [&session](std::uint64_t seed) {
    SeededRandom own(seed);
    for (int i = 0; i < 3'000; ++i) {
      const std::uint64_t first = own.between(0, kBlocks - 1);
      const std::uint64_t count = own.between(1, kBlocks - first);
      const auto value = static_cast<unsigned>(own.between(1, 255));
      bool filled = false;
      switch (own.between(0, 2)) {
        case 0:
          EXPECT_FALSE(session->write(blocksOf(count, value), first * kBlockSize));
          break;
        case 1:
          EXPECT_FALSE(session->zero(first * kBlockSize, count * kBlockSize));
          break;
        default:
          EXPECT_FALSE(session->fill(first, blockOf(value), filled));
      }
    }
  };
  FakeServer server;
  const auto uploadOne = [&](std::uint64_t cluster) {
    const auto snapshot = session->snapshot(cluster);
    server.take(cluster, FakeServer::read(*session, cluster, snapshot.bits));
    session->acknowledgeUpload(cluster, snapshot.changes);
  };
  std::thread one(change, random.between(0, UINT64_MAX));
  std::thread two(change, random.between(0, UINT64_MAX));
  for (int i = 0; i < 300; ++i) {
    if (const auto cluster = session->takeDirty(clock_.now())) {
      uploadOne(*cluster);
    }
  }
  one.join();
  two.join();
  while (const auto cluster = session->takeDirty(clock_.now())) {
    uploadOne(*cluster);
  }
  server.expectCleanClustersAsIn(*session);
}

}  // namespace
}  // namespace netcow
