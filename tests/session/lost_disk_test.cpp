// SPDX-License-Identifier: Apache-2.0
// A disk that went away and came back in the same boot: what was not synced is there or not, page
// by page, and nobody could mark `live`.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "base/errors.h"
#include "session/session.h"
#include "session/simulated_folder.h"
#include "support/fake_clock.h"
#include "support/seeded_cases.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kLiveMeta = 131'072;  // where the bytes of `meta` begin in `live`
constexpr std::uint64_t kFirstTable = 65'536;

class LostDisk {
 public:
  explicit LostDisk(SeededRandom& random) : machine_(random), random_(random) {
    NewSession settings;
    settings.imageName = "image";
    settings.baseSize = 3 * kTableSpan;
    settings.maxImageSize = 3 * kTableSpan;
    session_ = Session::create(openSimulatedFolder(machine_), settings, clock_);
  }

  /// Every block is written once, with a content of its own.
  void write() {
    const std::uint64_t block = random_.between(0, 2) * kTableSpan / kBlockSize +
                                random_.between(0, 2) * kBlocksPerCluster + random_.between(0, 9);
    if (!contents_.contains(block)) {
      contents_[block] = random_.bytes(kBlockSize);
      EXPECT_FALSE(session_->write(contents_[block], block * kBlockSize));
    }
  }
  void checkpoint() {
    EXPECT_FALSE(session_->checkpoint());
    for (const auto& [block, content] : contents_) {
      synced_.insert(block);
    }
  }
  void kill() {
    machine_.stopAfter = std::numeric_limits<std::uint64_t>::max();
    session_.reset();
    machine_.disk.killProcess();
  }
  /// Stops everything so many changes from now.
  void stopAfter(std::uint64_t changes) { machine_.stopAfter = machine_.changes + changes; }
  void tryCheckpoint() { static_cast<void>(session_->checkpoint()); }

  SimulatedInode& inode(const char* name) { return *machine_.disk.inode(machine_.disk.find(name)); }
  /// The disk goes away and comes back.
  void loseDisk() {
    for (const char* name : {"live", "meta", "data"}) {
      inode(name).powerCut(random_);
    }
  }
  void open() { session_ = Session::open(openSimulatedFolder(machine_), clock_); }
  /// The same; where that is refused, with an empty `live`.
  void openByAllMeans() {
    try {
      open();
    } catch (const UserError& error) {
      const std::string line = error.what();
      EXPECT_EQ(line.find('\n'), std::string::npos) << line;
      inode("live").resize(0);
      open();
    }
  }
  [[nodiscard]] std::string whatIsLost() const {
    for (const std::uint64_t block : synced_) {
      std::vector<std::byte> content(kBlockSize);
      if (!session_->isLocal(block)) {
        return "a synced block is not local any more; " + session_->recovery();
      }
      EXPECT_FALSE(session_->readBlocks(block / kBlocksPerCluster, block % kBlocksPerCluster,
                                        std::span(content)));
      if (content != contents_.at(block)) {
        return "a synced block has another content; " + session_->recovery();
      }
    }
    return "";
  }
  [[nodiscard]] Session& session() { return *session_; }
  SimulatedMachine& machine() { return machine_; }

 private:
  SimulatedMachine machine_;
  SeededRandom& random_;
  FakeClock clock_;
  std::unique_ptr<Session> session_;
  std::map<std::uint64_t, std::vector<std::byte>> contents_;
  std::set<std::uint64_t> synced_;
};

TEST(LostDiskTest, NeverPutsAHalfWrittenLiveOverWhatWasSynced) {
  SeededCases cases;
  int recovered = 0;
  for (int i = 0; i < 3'000; ++i) {
    cases.run([&](SeededRandom& random) {
      LostDisk disk(random);
      for (std::uint64_t n = random.between(1, 12); n > 0; --n) {
        random.oneIn(3) ? disk.checkpoint() : disk.write();
      }
      if (random.oneIn(2)) {
        disk.stopAfter(random.between(1, 8));
        disk.tryCheckpoint();
      }
      disk.kill();
      disk.loseDisk();
      disk.openByAllMeans();
      recovered += disk.session().recovery().find("whole") != std::string::npos ? 1 : 0;
      return disk.whatIsLost();
    });
  }
  std::cout << recovered << " recovered whole" << std::endl;
}

TEST(LostDiskTest, DropsALiveWithAHoleForATable) {
  for (const std::uint64_t place : {kLiveMeta, kLiveMeta + kFirstTable}) {
    SeededRandom random;
    LostDisk disk(random);
    disk.write();
    disk.checkpoint();
    disk.kill();
    disk.inode("live").punch(place, 4'096);
    // A kill in the middle of that changes nothing.
    const SimulatedDisk before = disk.machine().disk;
    for (std::uint64_t n = 0; n < 12; ++n) {
      disk.machine().disk = before;
      disk.stopAfter(n);
      EXPECT_ANY_THROW(disk.open());
      disk.kill();
      ASSERT_NO_THROW(disk.open()) << n;
      EXPECT_EQ(disk.whatIsLost(), "");
      disk.kill();
    }
    disk.machine().disk = before;
    disk.open();
    EXPECT_NE(disk.session().recovery().find("lost a part of `live`"), std::string::npos)
        << disk.session().recovery();
    EXPECT_EQ(disk.whatIsLost(), "");
  }
}

TEST(LostDiskTest, DropsALiveThatIsOlderThanItsMeta) {
  SeededRandom random;
  LostDisk disk(random);
  disk.write();
  disk.checkpoint();
  disk.kill();
  // The first table as it was when it was made.
  std::vector<std::byte> entry(64);
  std::fill_n(entry.begin(), 8, std::byte{0xFF});
  for (std::uint64_t i = 0; i < kClustersPerTable; ++i) {
    disk.inode("live").write(entry, kLiveMeta + kFirstTable + i * 64);
  }
  const SimulatedDisk before = disk.machine().disk;
  for (std::uint64_t n = 0; n < 12; ++n) {
    disk.machine().disk = before;
    disk.stopAfter(n);
    EXPECT_ANY_THROW(disk.open());
    disk.kill();
    ASSERT_NO_THROW(disk.open()) << n;
    EXPECT_EQ(disk.whatIsLost(), "");
    disk.kill();
  }
}

TEST(LostDiskTest, IsNotSeenInBlocksThatAnUploadServerReplaced) {
  SeededRandom random;
  LostDisk disk(random);
  ClusterBits one;
  one.set(1);
  ClusterBits two;
  two.set(2);
  const std::vector<std::byte> content(kBlockSize, std::byte{3});
  ASSERT_FALSE(disk.session().replaceCluster(0, one, content));
  ASSERT_FALSE(disk.session().checkpoint());
  ASSERT_FALSE(disk.session().replaceCluster(0, two, content));
  disk.kill();
  disk.open();
  EXPECT_NE(disk.session().recovery().find("whole"), std::string::npos);
  EXPECT_TRUE(disk.session().isLocal(2));
  EXPECT_FALSE(disk.session().isLocal(1));
}

/// Its bits are in the old pages of `live`, but the blocks are gone.
TEST(LostDiskTest, DropsALiveThatKnowsNothingOfWhatWasForgotten) {
  SeededRandom random;
  LostDisk disk(random);
  ASSERT_FALSE(disk.session().fillBlocks(0, std::vector<std::byte>(kBlockSize, std::byte{3})));
  ASSERT_FALSE(disk.session().checkpoint());
  std::vector<std::byte> entry(64);
  disk.inode("live").read(entry, kLiveMeta + kFirstTable);
  ASSERT_FALSE(disk.session().forget(0));
  ASSERT_FALSE(disk.session().releaseForgotten());
  disk.kill();
  disk.inode("live").write(entry, kLiveMeta + kFirstTable);
  try {
    disk.open();
  } catch (const UserError&) {
    disk.inode("live").resize(0);
    disk.open();
  }
  EXPECT_FALSE(disk.session().isLocal(0));
}

}  // namespace
}  // namespace netcow::test
