// SPDX-License-Identifier: Apache-2.0
// Merges on file systems that can share space between files, and on one that cannot.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "merge/merge.h"
#include "merge/scratch_file_system.h"
#include "support/seeded_random.h"

namespace netcow {
namespace {

using test::readFrom;
using test::readWhole;
using test::ScratchFileSystem;
using test::SeededRandom;
using test::TemporaryDirectory;

using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kMiB = 1U << 20U;

class SharedMerge : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string missing = ScratchFileSystem::missing(GetParam());
    if (!missing.empty()) {
      GTEST_SKIP() << missing;
    }
    disk_ = std::make_unique<ScratchFileSystem>(GetParam());
  }
  static bool canShare() { return GetParam() != "ext4"; }

  void makeBase(const std::string& path, std::uint64_t size) {
    base_ = path;
    model_ = random_.bytes(size);
    test::writeAt(path, model_);
    baseSize_ = size;
  }
  void makeSession(const std::string& directory, std::uint64_t maxSize = kDefaultMaxImageSize) {
    NewSession settings;
    settings.imageName = "pc";
    settings.baseSize = roundUp(baseSize_, kBlockSize);
    settings.maxImageSize = maxSize;
    session_ = Session::create(directory, settings);
  }
  void write(const Bytes& bytes, std::uint64_t offset) {
    ASSERT_FALSE(session_->write(bytes, offset));
    if (offset + bytes.size() > model_.size()) {
      model_.resize(offset + bytes.size());
    }
    std::copy(bytes.begin(), bytes.end(), model_.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  MergeResult merge(const std::string& output) {
    return mergeSession(
        *session_, {base_, output, session_->validRemoteSize(), session_->imageSize()}, progress_);
  }

  SeededRandom random_;
  std::unique_ptr<ScratchFileSystem> disk_;
  std::string base_;
  std::uint64_t baseSize_ = 0;
  Bytes model_;  ///< what the image must be, as long as it was not resized
  std::unique_ptr<Session> session_;
  MergeProgress progress_;
};

INSTANTIATE_TEST_SUITE_P(On, SharedMerge, testing::Values("xfs", "btrfs", "ext4"),
                         [](const auto& kind) { return kind.param; });

TEST_P(SharedMerge, TakesNoSpaceForBaseAndChangesWhereTheFileSystemCanShare) {
  makeBase(*disk_ / "base", 64 * kMiB);
  makeSession(*disk_ / "session");
  for (int i = 0; i < 20; ++i) {
    write(random_.bytes(kMiB), random_.between(0, 63 * kMiB) / kBlockSize * kBlockSize);
  }
  ASSERT_FALSE(session_->checkpoint());
  const std::uint64_t before = disk_->usedBytes();
  const MergeResult result = merge(*disk_ / "new");
  const std::uint64_t taken = disk_->usedBytes() - before;
  EXPECT_TRUE(readWhole(*disk_ / "new") == model_);
  EXPECT_EQ(result.baseShared, canShare());
  if (canShare()) {
    EXPECT_EQ(result.blocks.copied, 0U);
    EXPECT_LT(taken, 2 * kMiB);
  } else {
    EXPECT_EQ(result.blocks.shared, 0U);
    EXPECT_GE(taken, 64 * kMiB);
  }
}

TEST_P(SharedMerge, SeesWhatIsNotWrittenBackYetAndNothingThatIsWrittenLater) {
  makeBase(*disk_ / "base", 8 * kMiB);
  disk_->sync();
  makeSession(*disk_ / "session");
  for (int i = 0; i < 50; ++i) {
    write(random_.bytes(3 * kBlockSize), random_.between(0, 2000) * kBlockSize);
  }
  merge(*disk_ / "new");  // without a checkpoint
  EXPECT_TRUE(readWhole(*disk_ / "new") == model_);
  const Bytes merged = model_;
  for (int i = 0; i < 2045; ++i) {
    write(random_.bytes(kBlockSize), random_.between(0, 2000) * kBlockSize);
  }
  test::writeAt(base_, random_.bytes(kMiB), kMiB);
  disk_->sync();
  EXPECT_TRUE(readWhole(*disk_ / "new") == merged);
}

TEST_P(SharedMerge, LeavesBaseAndSessionAsTheyWere) {
  makeBase(*disk_ / "base", 4 * kMiB);
  makeSession(*disk_ / "session");
  write(random_.bytes(kMiB), 0);
  ASSERT_FALSE(session_->close());
  session_.reset();
  const auto content = [&] {
    return std::vector{readWhole(base_), readWhole(*disk_ / "session/meta"),
                       readWhole(*disk_ / "session/data")};
  };
  const auto before = content();
  session_ = Session::open(*disk_ / "session");
  merge(*disk_ / "new");
  ASSERT_FALSE(session_->close());
  EXPECT_TRUE(content() == before);
}

TEST_P(SharedMerge, KeepsHolesOfTheSessionHoles) {
  makeBase(*disk_ / "base", 8 * kMiB);
  makeSession(*disk_ / "session");
  write(random_.bytes(4 * kMiB), kMiB);
  ASSERT_FALSE(session_->zeroLocal(2 * kMiB, 2 * kMiB));
  std::fill_n(model_.begin() + 2 * kMiB, 2 * kMiB, std::byte{0});
  const MergeResult result = merge(*disk_ / "new");
  EXPECT_TRUE(readWhole(*disk_ / "new") == model_);
  EXPECT_EQ(result.blocks.zeros, 2 * kMiB / kBlockSize);
  EXPECT_EQ(result.blocks.all(), 4 * kMiB / kBlockSize);
  EXPECT_LE(test::allocatedBytes(*disk_ / "new"), 6 * kMiB + 65'536);
}

TEST_P(SharedMerge, CopiesOnlyWhatLiesElsewhere) {
  const TemporaryDirectory elsewhere;
  makeBase(*disk_ / "base", 4 * kMiB);
  makeSession(elsewhere / "session");
  write(random_.bytes(kMiB), kMiB);
  const MergeResult blocksElsewhere = merge(*disk_ / "new");
  EXPECT_TRUE(readWhole(*disk_ / "new") == model_);
  EXPECT_EQ(blocksElsewhere.baseShared, canShare());
  EXPECT_EQ(blocksElsewhere.blocks.copied, kMiB / kBlockSize);

  makeBase(elsewhere / "base", 4 * kMiB);
  makeSession(*disk_ / "session");
  write(random_.bytes(kMiB), kMiB);
  const MergeResult baseElsewhere = merge(*disk_ / "newer");
  EXPECT_TRUE(readWhole(*disk_ / "newer") == model_);
  EXPECT_FALSE(baseElsewhere.baseShared);
  EXPECT_EQ(baseElsewhere.blocks.shared, canShare() ? kMiB / kBlockSize : 0U);
}

TEST_P(SharedMerge, OfAnImageOfManyTebibytesCostsWhatIsUsed) {
  constexpr std::uint64_t kTiB = std::uint64_t{1} << 40U;
  const std::uint64_t size = GetParam() == "ext4" ? 15 * kTiB : 16 * kTiB;  // ext4 ends below 16
  const Bytes island = random_.bytes(kBlockSize);
  base_ = *disk_ / "base";
  baseSize_ = size / 2;
  test::setFileSize(base_, baseSize_);
  test::writeAt(base_, island, baseSize_ - kBlockSize);
  makeSession(*disk_ / "session", 16 * kTiB);
  ASSERT_FALSE(session_->setSizes(size, baseSize_));
  const Bytes last = random_.bytes(kBlockSize);
  ASSERT_FALSE(session_->write(last, size - kBlockSize));
  const Bytes middle = random_.bytes(kBlockSize);
  ASSERT_FALSE(session_->write(middle, 3 * kTiB));
  merge(*disk_ / "new");
  EXPECT_EQ(std::filesystem::file_size(*disk_ / "new"), size);
  EXPECT_EQ(readFrom(*disk_ / "new", size - kBlockSize, kBlockSize), last);
  EXPECT_EQ(readFrom(*disk_ / "new", 3 * kTiB, kBlockSize), middle);
  EXPECT_EQ(readFrom(*disk_ / "new", baseSize_ - kBlockSize, kBlockSize), island);
  EXPECT_LT(test::allocatedBytes(*disk_ / "new"), 4 * kMiB);
}

TEST_P(SharedMerge, AgreesWithAPlainModelForAnySizes) {
  for (int round = 0; round < 30 && !HasFailure(); ++round) {
    const std::string at = *disk_ / std::to_string(round);
    makeBase(at + ".base", random_.between(1, 3 * kMiB));
    makeSession(at + ".session");
    const std::uint64_t largest = random_.between(1, 4 * kMiB);
    ASSERT_FALSE(session_->setSizes(4 * kMiB, session_->validRemoteSize()));
    for (std::uint64_t i = random_.between(0, 20); i > 0; --i) {
      const std::uint64_t blocks = random_.between(1, random_.oneIn(4) ? 200 : 3);
      write(random_.bytes(blocks * kBlockSize), random_.between(0, 1000) * kBlockSize);
      if (random_.oneIn(4)) {
        const std::uint64_t begin = random_.between(0, 4 * kMiB);
        const std::uint64_t length = random_.between(0, 100'000);
        for (std::uint64_t byte = begin; byte < begin + length && byte < model_.size(); ++byte) {
          if (session_->isLocal(byte / kBlockSize)) {
            model_[byte] = std::byte{0};
          }
        }
        ASSERT_FALSE(session_->zeroLocal(begin, length));
      }
    }
    if (random_.oneIn(2)) {
      ASSERT_FALSE(session_->checkpoint());
    }
    // Cut where the visible part of the base ends, then at the end of the image.
    const std::uint64_t visible = random_.between(0, baseSize_);
    Bytes expected(largest);
    for (std::uint64_t byte = 0; byte < std::min<std::uint64_t>(largest, model_.size()); ++byte) {
      if (byte < visible || session_->isLocal(byte / kBlockSize)) {
        expected[byte] = model_[byte];
      }
    }
    const MergeResult result =
        mergeSession(*session_, {base_, at + ".new", visible, largest}, progress_);
    ASSERT_TRUE(readWhole(at + ".new") == expected)
        << "round " << round << ": base of " << baseSize_ << " cut to " << visible << ", grown to "
        << largest;
    EXPECT_LE(result.blocks.copied, canShare() ? 1U : 1024U) << "only a block that the end cuts";
  }
}

}  // namespace
}  // namespace netcow
