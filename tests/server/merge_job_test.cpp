// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/merge_job.h"

#include <gmock/gmock.h>

#include <future>

#include "base/errors.h"
#include "server/full_disk.h"
#include "server/test_files.h"
#include "server/upload_content.h"
#include "server/uploads/refusal.h"
#include "support/fake_clock.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using testing::AllOf;
using testing::HasSubstr;

constexpr std::uint64_t kBaseSize = 50'000;  // odd: served as 53 248
constexpr std::uint64_t kServedSize = 53'248;
constexpr MergeSizes kSizes = {kServedSize, kServedSize};

/// An upload whose merge was accepted, and a worker that is killed at any moment.
class MergeJobTest : public testing::Test {
 protected:
  MergeJobTest() {
    test::writeFile(images_ / "sub/win.r5", base_);
    fs::create_directory(state_);
    registry_.emplace(state_ / "registry.sqlite");
    UploadRecord record;
    record.uuid = "u";
    record.base = {"sub/win", 5};
    record.baseSize = kServedSize;
    upload_.emplace(record, state_ / "u", context());
    upload_->begin();
    ClusterBits bits;
    bits.set(3);
    std::promise<std::error_code> durable;
    upload_->store({.bits = bits, .content = block_},
                   [&](std::error_code error) { durable.set_value(error); });
    EXPECT_EQ(durable.get_future().get(), std::error_code());
    upload_->acceptMerge(kSizes);
  }
  UploadContext context() { return {*registry_, counters_, workers_, clock_}; }
  /// The state that a new process finds.
  void restart() {
    const UploadRecord record = registry_->load().at(0);
    upload_.reset();
    upload_.emplace(record, state_ / "u", context());
  }
  /// Changes the registry's tables between two processes.
  void changeRegistry(const std::string& sql) {
    upload_.reset();
    registry_.reset();
    Database(state_ / "registry.sqlite").run(sql);
    registry_.emplace(state_ / "registry.sqlite");
    upload_.emplace(registry_->load().at(0), state_ / "u", context());
  }
  Bytes expected() {
    return test::expectedImage(base_, kServedSize, kServedSize, {{0, {{3, block_}}}});
  }
  void expectOnlyRevision(std::uint16_t revision) {
    EXPECT_EQ(upload_->record().state, UploadState::done) << upload_->record().message;
    EXPECT_EQ(upload_->record().newRevision, revision);
    EXPECT_EQ(registry_->load().at(0).state, UploadState::done);
    EXPECT_EQ(registry_->load().at(0).newRevision, revision);
    EXPECT_FALSE(fs::exists(state_ / "u"));
    EXPECT_FALSE(fs::exists(hidden_));
    EXPECT_EQ(test::readFile(file(revision)), expected());
    for (std::uint16_t other = 6; other < 12; ++other) {
      EXPECT_EQ(fs::exists(file(other)), other == revision || taken_.count(other) != 0) << other;
    }
  }
  fs::path file(std::uint16_t revision) {
    return images_ / "sub" / ("win.r" + std::to_string(revision));
  }
  void take(std::uint16_t revision) {
    test::writeFile(file(revision), test::bytesOf("somebody else's"));
    taken_.insert(revision);
  }

  test::SeededRandom random_;
  test::FakeClock clock_;
  test::TemporaryDirectory directory_;
  const fs::path images_ = directory_.path() / "images";
  const fs::path state_ = directory_.path() / "state";
  const fs::path hidden_ = images_ / "sub" / ".netcow-merge-u-53248-53248";
  const Bytes base_ = random_.bytes(kBaseSize);
  const Bytes block_ = random_.bytes(4096);
  std::set<std::uint16_t> taken_;
  ImageCatalog catalog_ = [this] {
    fs::create_directory(images_);
    return ImageCatalog(images_);
  }();
  std::optional<Registry> registry_;
  UploadCounters counters_;
  IoThreads workers_{"uploads", 2};
  std::optional<Upload> upload_;
};

TEST_F(MergeJobTest, MakesTheNextRevision) {
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
}

TEST_F(MergeJobTest, TakesTheNextNumberThatIsFree) {
  take(6);
  take(7);
  take(9);
  runMerge(*upload_, catalog_);
  expectOnlyRevision(8);
  EXPECT_EQ(test::readFile(file(6)), test::bytesOf("somebody else's"));
}

TEST_F(MergeJobTest, CountsAnEmptyFileAsTaken) {
  test::writeFile(file(6), {});
  taken_.insert(6);
  runMerge(*upload_, catalog_);
  expectOnlyRevision(7);
}

TEST_F(MergeJobTest, SkipsANumberWhoseChecksumsWereLeftBehind) {
  test::writeFile(images_ / "sub/win.r6.crc", test::bytesOf("of an image that was removed"));
  runMerge(*upload_, catalog_);
  expectOnlyRevision(7);
  EXPECT_FALSE(catalog_.openChecksums({"sub/win", 7}));
}

TEST_F(MergeJobTest, KeepsTheImageWhileTheRegistryCannotBeWritten) {
  changeRegistry(
      "CREATE TRIGGER full BEFORE UPDATE ON uploads BEGIN SELECT RAISE(ABORT, 'no space'); END");
  EXPECT_THROW(runMerge(*upload_, catalog_), UserError);
  EXPECT_EQ(upload_->record().state, UploadState::merging);
  EXPECT_EQ(test::readFile(hidden_), expected());
  changeRegistry("DROP TRIGGER full");
  fs::remove(file(5));  // nothing is merged a second time
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
}

TEST_F(MergeJobTest, GoesOnWhenKilledBeforeItBegan) {
  restart();
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
}

TEST_F(MergeJobTest, GoesOnWhenKilledAfterTheImageWasMade) {
  test::writeFile(hidden_, expected());
  fs::remove(images_ / "sub" / "win.r5");  // nothing is merged a second time
  restart();
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
  EXPECT_EQ(upload_->record().mergedClusters, 1U);
  EXPECT_EQ(upload_->record().totalClusters, 1U);
}

TEST_F(MergeJobTest, GoesOnWhenKilledAfterTheNumberWasChosen) {
  test::writeFile(hidden_, expected());
  upload_->chooseRevision(6);
  restart();
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
}

TEST_F(MergeJobTest, ChoosesAgainWhenTheNumberWasTakenMeanwhile) {
  test::writeFile(hidden_, expected());
  upload_->chooseRevision(6);
  take(6);
  restart();
  runMerge(*upload_, catalog_);
  expectOnlyRevision(7);
}

TEST_F(MergeJobTest, MakesNoSecondRevisionWhenKilledAfterTheRename) {
  upload_->chooseRevision(6);
  test::writeFile(file(6), expected());
  restart();
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
}

TEST_F(MergeJobTest, MakesNoSecondRevisionWhenKilledBetweenLinkAndUnlink) {
  upload_->chooseRevision(6);
  test::writeFile(hidden_, expected());
  fs::create_hard_link(hidden_, file(6));
  restart();
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
}

TEST_F(MergeJobTest, FailsWhenTheBaseIsGoneAndCanBeAskedAgain) {
  fs::rename(file(5), images_ / "aside");
  runMerge(*upload_, catalog_);
  EXPECT_EQ(upload_->record().state, UploadState::failed);
  EXPECT_THAT(upload_->record().message, HasSubstr("win.r5"));
  restart();
  EXPECT_EQ(upload_->record().state, UploadState::failed);
  fs::rename(images_ / "aside", file(5));
  EXPECT_TRUE(upload_->acceptMerge(kSizes));
  EXPECT_EQ(upload_->record().message, "");
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
}

TEST_F(MergeJobTest, FailsWhenTheBaseHasAnotherSize) {
  fs::resize_file(file(5), kServedSize + 1);
  runMerge(*upload_, catalog_);
  EXPECT_EQ(upload_->record().state, UploadState::failed);
  EXPECT_THAT(upload_->record().message, HasSubstr("size"));
}

TEST_F(MergeJobTest, MayBeAskedWithOtherSizesAfterAFailure) {
  fs::rename(file(5), images_ / "aside");
  runMerge(*upload_, catalog_);
  fs::rename(images_ / "aside", file(5));
  EXPECT_TRUE(upload_->acceptMerge({8192, 20'000}));
  runMerge(*upload_, catalog_);
  EXPECT_EQ(test::readFile(file(6)),
            test::expectedImage(base_, 8192, 20'000, {{0, {{3, block_}}}}));
}

TEST_F(MergeJobTest, FailsWhenNoNumberIsLeft) {
  UploadRecord last = upload_->record();
  last.uuid = "v";
  last.base.revision = 65'535;
  last.state = UploadState::copying;
  fs::copy_file(file(5), file(65'535));
  Upload upload(last, state_ / "v", context());
  upload.begin();
  upload.acceptMerge(kSizes);
  runMerge(upload, catalog_);
  EXPECT_EQ(upload.record().state, UploadState::failed);
  EXPECT_THAT(upload.record().message, HasSubstr("65535"));
  EXPECT_FALSE(fs::exists(images_ / "sub" / ".netcow-merge-v-53248-53248"));
}

TEST_F(MergeJobTest, TakesClustersAgainWhenItWasCancelled) {
  upload_->requestCancel();
  EXPECT_THROW(upload_->remove(), Refusal);  // the worker may be at it
  EXPECT_THROW(upload_->acceptMerge(kSizes), Refusal);
  runMerge(*upload_, catalog_);
  EXPECT_EQ(upload_->record().state, UploadState::active);
  EXPECT_TRUE(upload_->acceptMerge(kSizes));
  EXPECT_EQ(upload_->record().message, "");
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
}

TEST_F(MergeJobTest, NeverPublishesTheImageOfACancelledMerge) {
  test::writeFile(hidden_, expected());  // all but the name was done
  upload_->requestCancel();
  restart();
  runMerge(*upload_, catalog_);
  EXPECT_EQ(upload_->record().state, UploadState::active);
  EXPECT_FALSE(fs::exists(hidden_));
  EXPECT_FALSE(fs::exists(file(6)));
}

TEST_F(MergeJobTest, CannotBeCancelledOnceItsResultIsOut) {
  upload_->chooseRevision(6);
  test::writeFile(file(6), expected());
  upload_->requestCancel();
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
}

TEST_F(MergeJobTest, FailsWithoutRoomBeforeItWritesAnythingAndCanBeAskedAgain) {
  runMerge(*upload_, catalog_, ~std::uint64_t{0});  // all of the disk is to be left free
  EXPECT_EQ(upload_->record().state, UploadState::failed);
  EXPECT_THAT(upload_->record().message, HasSubstr("no room for the new image"));
  EXPECT_EQ(std::distance(fs::directory_iterator(images_ / "sub"), {}), 1);
  EXPECT_TRUE(upload_->acceptMerge(kSizes));
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
}

TEST_F(MergeJobTest, FailsWhenTheDiskFillsUpWhileTheImageIsMadeAndCanBeAskedAgain) {
  // Nothing fits; a part of what is copied of the base; all of that and a part of the cluster.
  for (const std::uint64_t room : {0U, 20'000U, 51'000U}) {
    {
      const test::FullDisk disk(images_, room);
      runMerge(*upload_, catalog_);
      EXPECT_TRUE(disk.wasFull());
    }
    EXPECT_EQ(upload_->record().state, UploadState::failed);
    EXPECT_EQ(registry_->load().at(0).state, UploadState::failed);
    EXPECT_THAT(upload_->record().message,
                AllOf(HasSubstr("no room for the new image: the disk of "),
                      HasSubstr("ask for the merge again")));
    EXPECT_EQ(std::distance(fs::directory_iterator(images_ / "sub"), {}), 1) << "the base alone";
    EXPECT_TRUE(fs::exists(state_ / "u/data"));
    restart();
    EXPECT_TRUE(upload_->acceptMerge(kSizes));
  }
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
}

TEST_F(MergeJobTest, StaysAcceptedWhenTheServerEnds) {
  upload_->progress().cancel = true;
  runMerge(*upload_, catalog_);
  EXPECT_EQ(upload_->record().state, UploadState::merging);
  restart();
  runMerge(*upload_, catalog_);
  expectOnlyRevision(6);
}

}  // namespace
}  // namespace netcow
