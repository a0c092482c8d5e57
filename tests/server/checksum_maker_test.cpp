// SPDX-License-Identifier: Apache-2.0
#include "server/checksums/checksum_maker.h"

#include <gmock/gmock.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "server/test_files.h"
#include "support/captured_log.h"
#include "support/checksummed_file.h"
#include "support/fake_clock.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using test::Bytes;
using testing::IsEmpty;
using testing::SizeIs;

/// Root can write everywhere: while this lives, this thread uses files as somebody else.
class NotRoot {
 public:
  NotRoot() { ::setfsuid(::geteuid() == 0 ? 65'534 : ::geteuid()); }
  ~NotRoot() { ::setfsuid(::geteuid()); }
  NotRoot(const NotRoot&) = delete;
  NotRoot& operator=(const NotRoot&) = delete;
};

class ChecksumMakerTest : public testing::Test {
 protected:
  ChecksumMakerTest() {
    options_.bytesPerSecond = std::uint64_t{1} << 40U;
    options_.lookEvery = 1ms;
    makeImagesOld();
  }
  fs::path file(const std::string& name) { return directory_.path() / name; }
  void writeImage(const std::string& name, std::uint64_t size) {
    test::writeFile(file(name), random_.bytes(size));
  }
  /// Lets everything that was written so far count as at rest.
  void makeImagesOld() { setClock(3600s); }
  /// Puts the clock so far ahead of the files' one.
  void setClock(std::chrono::seconds ahead) {
    clock_.advance(ahead + std::chrono::seconds(Clock::system().unixSeconds()) -
                   std::chrono::seconds(clock_.unixSeconds()));
  }
  Bytes served(const std::string& name, std::uint16_t revision) {
    return lists_.read(*catalog_.open(name, revision));
  }
  /// Whether revision 1 has one within half a minute.
  bool waitForList(const std::string& name) {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (served(name, 1).empty() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(1ms);
    }
    return !served(name, 1).empty();
  }
  Bytes expected(const std::string& name) {
    return test::checksumListOf(test::checksumsOf(file(name)));
  }

  test::SeededRandom random_;
  test::TemporaryDirectory directory_;
  test::FakeClock clock_;
  ChecksumMakerOptions options_;
  ImageCatalog catalog_ = ImageCatalog(directory_.path());
  ChecksumLists lists_ = ChecksumLists(catalog_, directory_ / ".own/checksums");
};

TEST_F(ChecksumMakerTest, MakesTheListOfEveryImageThatHasNone) {
  writeImage("odd.r1", 33'554'432 + 5000);  // the last span: a block and a part of one
  writeImage("sub/small.r7", 1);
  test::writeFile(file("sparse.r1"), {});
  fs::resize_file(file("sparse.r1"), 20'000'000);
  ChecksumMaker maker(catalog_, lists_, options_, clock_);
  EXPECT_EQ(maker.makeAll(), 3U);
  for (const std::string name : {"odd.r1", "sub/small.r7", "sparse.r1"}) {
    EXPECT_EQ(test::readFile(file(name + ".crc")), expected(name)) << name;
  }
  EXPECT_EQ(served("sub/small", 7), expected("sub/small.r7"));
  EXPECT_EQ(maker.makeAll(), 0U);
}

TEST_F(ChecksumMakerTest, WaitsUntilAnImageWasLeftAlone) {
  writeImage("win.r1", 5000);
  setClock(0s);
  ChecksumMaker maker(catalog_, lists_, options_, clock_);
  EXPECT_EQ(maker.makeAll(), 0U);
  makeImagesOld();
  EXPECT_EQ(maker.makeAll(), 1U);
}

TEST_F(ChecksumMakerTest, LeavesASoundListAlone) {
  writeImage("win.r1", 5000);
  test::writeChecksumList(file("win.r1"), {12345});  // not what the image has: somebody's own
  const Bytes theirs = test::readFile(file("win.r1.crc"));
  ChecksumMaker maker(catalog_, lists_, options_, clock_);
  EXPECT_EQ(maker.makeAll(), 0U);
  EXPECT_EQ(test::readFile(file("win.r1.crc")), theirs);
}

TEST_F(ChecksumMakerTest, ReplacesAListThatIsOlderThanItsImage) {
  test::writeFile(file("win.r1"), random_.bytes(5000));
  test::writeChecksumList(file("win.r1"), {12345});
  fs::last_write_time(file("win.r1.crc"), fs::last_write_time(file("win.r1")) - 1s);
  EXPECT_THAT(served("win", 1), IsEmpty());
  ChecksumMaker maker(catalog_, lists_, options_, clock_);
  EXPECT_EQ(maker.makeAll(), 1U);
  EXPECT_EQ(served("win", 1), expected("win.r1"));
}

TEST_F(ChecksumMakerTest, ServesAListOfAnImageWhoseTimeLiesInTheFuture) {
  writeImage("win.r1", 5000);
  fs::last_write_time(file("win.r1"), fs::last_write_time(file("win.r1")) + 1h);
  ChecksumMaker maker(catalog_, lists_, options_, clock_);
  EXPECT_EQ(maker.makeAll(), 1U);
  EXPECT_EQ(served("win", 1), expected("win.r1"));
  EXPECT_EQ(maker.makeAll(), 0U);
}

TEST_F(ChecksumMakerTest, TakesBackTheListOfAnImageThatGoesOnAndGetsItsOldTime) {
  // As with cp -p when it stalls: the time of the original comes back at the end.
  const auto old = fs::last_write_time(directory_.path()) - 24h;
  writeImage("win.r1", 5000);
  ChecksumMaker maker(catalog_, lists_, options_, clock_);
  EXPECT_EQ(maker.makeAll(), 1U);
  writeImage("win.r1", 6000);
  fs::last_write_time(file("win.r1"), old);
  EXPECT_EQ(maker.makeAll(), 1U);
  EXPECT_EQ(served("win", 1), expected("win.r1"));
}

TEST_F(ChecksumMakerTest, TellsOfAnAdministratorsListThatNoLongerFitsAndServesItNoMore) {
  const auto old = fs::last_write_time(directory_.path()) - 24h;
  writeImage("win.r1", 5000);
  test::writeChecksumList(file("win.r1"), {12345});
  ChecksumMaker maker(catalog_, lists_, options_, clock_);
  EXPECT_EQ(maker.makeAll(), 0U);
  EXPECT_THAT(served("win", 1), SizeIs(8));
  const test::CapturedLog log;
  writeImage("win.r1", 6000);  // in place, and dated back
  fs::last_write_time(file("win.r1"), old);
  setClock(0s);  // it is not left alone yet
  EXPECT_EQ(maker.makeAll(), 0U);
  EXPECT_EQ(maker.makeAll(), 0U);
  EXPECT_THAT(served("win", 1), IsEmpty());
  EXPECT_EQ(log.lines("win.r1.crc is removed: the image changed since"), 1);
  EXPECT_EQ(log.lines(""), 1);
  makeImagesOld();
  EXPECT_EQ(maker.makeAll(), 1U);
  EXPECT_EQ(served("win", 1), expected("win.r1"));
}

TEST_F(ChecksumMakerTest, KeepsAListThatCameWithTheNewContent) {
  writeImage("win.r1", 5000);
  ChecksumMaker maker(catalog_, lists_, options_, clock_);
  EXPECT_EQ(maker.makeAll(), 1U);
  writeImage("win.r1", 6000);
  test::writeChecksumList(file("win.r1"), {12345});
  fs::last_write_time(file("win.r1.crc"), fs::last_write_time(file("win.r1")) + 1s);
  const Bytes theirs = test::readFile(file("win.r1.crc"));
  EXPECT_EQ(maker.makeAll(), 0U);
  EXPECT_EQ(served("win", 1), theirs);
}

TEST_F(ChecksumMakerTest, ServesNoListOfFormerContentWhereItCannotBeRemoved) {
  const auto old = fs::last_write_time(directory_.path()) - 24h;
  fs::create_directory(file("sub"));
  writeImage("sub/win.r1", 5000);
  test::writeChecksumList(file("sub/win.r1"), {12345});
  fs::permissions(directory_.path(), fs::perms(0755));
  fs::permissions(file("sub"), fs::perms(0555));
  ChecksumMaker maker(catalog_, lists_, options_, clock_);
  {
    const NotRoot notRoot;
    EXPECT_EQ(maker.makeAll(), 0U);
  }
  writeImage("sub/win.r1", 6000);
  fs::last_write_time(file("sub/win.r1"), old);
  setClock(0s);
  const test::CapturedLog log;
  const NotRoot notRoot;
  EXPECT_EQ(maker.makeAll(), 0U);
  EXPECT_TRUE(fs::exists(file("sub/win.r1.crc")));
  EXPECT_THAT(served("sub/win", 1), IsEmpty());
  EXPECT_EQ(log.lines("win.r1.crc is not served any more: the image changed since"), 1);
}

TEST_F(ChecksumMakerTest, KeepsListsElsewhereWhereTheFolderCannotBeWritten) {
  writeImage("sub/win.r1", 5000);
  fs::create_directory(file(".own"));
  fs::permissions(file(".own"), fs::perms::all);
  fs::permissions(directory_.path(), fs::perms(0755));
  fs::permissions(file("sub"), fs::perms(0555));
  const NotRoot notRoot;
  ChecksumMaker maker(catalog_, lists_, options_, clock_);
  EXPECT_EQ(maker.makeAll(), 1U);
  EXPECT_EQ(served("sub/win", 1), expected("sub/win.r1"));
  EXPECT_FALSE(fs::exists(file("sub/win.r1.crc")));
  EXPECT_TRUE(fs::exists(file(".own/checksums/sub/win.r1.crc")));
  EXPECT_EQ(maker.makeAll(), 0U);
}

TEST_F(ChecksumMakerTest, WorksInTheBackground) {
  writeImage("win.r1", 40'000'000);
  ChecksumMaker maker(catalog_, lists_, options_, clock_);
  maker.start();
  ASSERT_TRUE(waitForList("win"));
  EXPECT_EQ(served("win", 1), expected("win.r1"));
}

TEST_F(ChecksumMakerTest, LooksAtOnceWhenItIsToldTo) {
  writeImage("win.r1", 5000);
  options_.lookEvery = 1h;
  options_.lookAtMostEvery = 1ms;
  ChecksumMaker maker(catalog_, lists_, options_, clock_);
  maker.start();
  ASSERT_TRUE(waitForList("win"));
  writeImage("mac.r1", 5000);
  maker.look();
  EXPECT_TRUE(waitForList("mac"));
}

TEST_F(ChecksumMakerTest, EndsAtOnceWhileItMakesSlowly) {
  writeImage("win.r1", 40'000'000);
  options_.bytesPerSecond = 1;  // a piece would take days
  const auto began = std::chrono::steady_clock::now();
  {
    ChecksumMaker maker(catalog_, lists_, options_, clock_);
    maker.start();
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, 20s);
  EXPECT_FALSE(fs::exists(file("win.r1.crc")));
}

}  // namespace
}  // namespace netcow
