// SPDX-License-Identifier: Apache-2.0
#include "server/page/overview_source.h"

#include <gmock/gmock.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "server/test_files.h"
#include "support/fake_clock.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using testing::SizeIs;

class OverviewSourceTest : public testing::Test {
 protected:
  void addImage(const std::string& name, std::size_t size) {
    test::writeFile(images_ / name, test::Bytes(size));
  }

  test::FakeClock clock_;
  test::TemporaryDirectory directory_;
  const fs::path images_ = [this] {
    fs::create_directories(directory_.path() / "images");
    fs::create_directories(directory_.path() / "state");
    // Before anybody watches the folder: what was there already is no change of it.
    test::writeFile(directory_.path() / "images/win.r1", test::Bytes(4096));
    return directory_.path() / "images";
  }();
  ImageCatalog catalog_ = ImageCatalog(images_);
  FolderWatch watch_ = FolderWatch(images_, [] {});
  UploadService uploads_ = UploadService(directory_ / "state", catalog_, {}, clock_);
  BlockFigures blocks_;
  UploadKeys keys_;
  OverviewSource source_ =
      OverviewSource(catalog_, watch_, uploads_, [this] { return blocks_; }, keys_, clock_);
};

TEST_F(OverviewSourceTest, PutsTheFiguresOfClientsToTheirImages) {
  addImage("win.r10", 8192);
  addImage("sub/mac.r2", 4096);
  blocks_.clients = 5;
  blocks_.bytes = 77;
  blocks_.images = {{.image = {"win", 1}, .clients = 2, .requests = 0, .bytes = 30},
                    {.image = {"removed", 1}, .clients = 1, .requests = 0, .bytes = 40}};
  const Overview overview = source_.make();
  ASSERT_THAT(overview.images, SizeIs(2));
  EXPECT_EQ(overview.images[0].name, "sub/mac");
  const auto& win = overview.images[1];
  ASSERT_THAT(win.revisions, SizeIs(2));
  EXPECT_EQ(win.revisions[0].revision, 10);
  EXPECT_EQ(win.revisions[0].size, 8192U);
  EXPECT_EQ(win.revisions[0].clients, 0U);
  EXPECT_EQ(win.revisions[1].clients, 2U);
  EXPECT_EQ(win.revisions[1].bytesServed, 30U);
  EXPECT_EQ(overview.clients, 5U);
  EXPECT_EQ(overview.bytesServed, 77U);
  EXPECT_EQ(overview.imagesFolder, images_);
  EXPECT_GT(overview.imagesFreeBytes, 0U);
}

TEST_F(OverviewSourceTest, TellsTimes) {
  clock_.advance(seconds(65));
  const Overview overview = source_.make();
  EXPECT_EQ(overview.uptimeSeconds, 65);
  EXPECT_EQ(overview.milliseconds, 65'000);
  EXPECT_EQ(overview.time, clock_.unixSeconds());
}

TEST_F(OverviewSourceTest, ListsUploadsTheNewestFirstUnderKeysThatStay) {
  const std::string older = uploads_.create({"win", 1}, "anna");
  clock_.advance(seconds(1));
  const std::string newer = uploads_.create({"win", 1});
  const Overview overview = source_.make();
  ASSERT_THAT(overview.uploads, SizeIs(2));
  EXPECT_THAT(overview.history, SizeIs(0));
  EXPECT_EQ(keys_.uuidOf(overview.uploads[0].key), newer);
  EXPECT_EQ(keys_.uuidOf(overview.uploads[1].key), older);
  EXPECT_EQ(overview.uploads[1].record.owner, "anna");
  EXPECT_EQ(source_.make().uploads[0].key, overview.uploads[0].key);
  EXPECT_EQ(keys_.uuidOf(older), std::nullopt);  // a uuid is no key
}

TEST_F(OverviewSourceTest, ShowsAnImageAtOnceThatTheWatchTellsOf) {
  ASSERT_TRUE(watch_.seesAll());
  ASSERT_THAT(source_.make().images, SizeIs(1));
  const auto before = watch_.changes();
  addImage("mac.r1", 4096);
  const auto end = std::chrono::steady_clock::now() + seconds(20);
  while (watch_.changes() == before && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_THAT(source_.make().images, SizeIs(2));
}

TEST_F(OverviewSourceTest, ShowsSecondsLaterWhatNobodyTells) {
  std::ofstream growing(images_ / "win.r1", std::ios::binary | std::ios::app);
  ASSERT_EQ(source_.make().images.at(0).revisions.at(0).size, 4096U);
  growing << std::string(4096, 'x') << std::flush;
  clock_.advance(seconds(4));
  EXPECT_EQ(source_.make().images.at(0).revisions.at(0).size, 4096U);
  clock_.advance(seconds(1));
  EXPECT_EQ(source_.make().images.at(0).revisions.at(0).size, 8192U);
}

}  // namespace
}  // namespace netcow
