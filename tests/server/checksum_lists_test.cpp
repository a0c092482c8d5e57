// SPDX-License-Identifier: Apache-2.0
#include "server/checksums/checksum_lists.h"

#include <gmock/gmock.h>

#include "server/dnbd3_bytes.h"
#include "server/test_files.h"
#include "support/captured_log.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;
using test::ByteWriter;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t kSpan = 16 * 1024 * 1024;
// zlib's crc32() of the bytes 44 33 22 11, and of 44 33 22 11 88 77 66 55.
constexpr std::uint32_t kChecksumOfOne = 0xDE1D2D6D;
constexpr std::uint32_t kChecksumOfTwo = 0x176F3FE5;

class ChecksumListsTest : public testing::Test {
 protected:
  void makeImage(std::uint64_t size) {
    test::writeFile(directory_ / "win.r1", {});
    std::filesystem::resize_file(directory_ / "win.r1", size);
  }
  void writeList(const ByteWriter& list) {
    test::writeFile(directory_ / "win.r1.crc", list.bytes());
  }
  std::vector<std::byte> read() {
    const auto image = catalog_.open("win", 1);
    return lists_.read(*image);
  }

  test::TemporaryDirectory directory_;
  ImageCatalog catalog_ = ImageCatalog(directory_.path());
  ChecksumLists lists_ = ChecksumLists(catalog_, directory_ / ".own");
};

TEST_F(ChecksumListsTest, IsServedAsItLiesBesideTheImage) {
  makeImage(kSpan);
  const auto one = ByteWriter().u32(kChecksumOfOne).u32(0x11223344);
  writeList(one);
  EXPECT_EQ(read(), one.bytes());

  makeImage(kSpan + 1);
  const auto two = ByteWriter().u32(kChecksumOfTwo).u32(0x11223344).u32(0x55667788);
  writeList(two);
  EXPECT_EQ(read(), two.bytes());
}

TEST_F(ChecksumListsTest, IsLeftOutWhenItIsMissing) {
  makeImage(kSpan);
  EXPECT_THAT(read(), IsEmpty());
}

TEST_F(ChecksumListsTest, IsLeftOutWhenItDoesNotFitTheImage) {
  makeImage(kSpan + 1);  // needs two
  writeList(ByteWriter().u32(kChecksumOfOne).u32(0x11223344));
  EXPECT_THAT(read(), IsEmpty());
}

TEST_F(ChecksumListsTest, IsLeftOutWhenItsOwnChecksumIsWrong) {
  makeImage(kSpan);
  writeList(ByteWriter().u32(kChecksumOfOne).u32(0x11223345));
  EXPECT_THAT(read(), IsEmpty());
}

TEST_F(ChecksumListsTest, TellsOnceWhyAListIsNotServed) {
  const test::CapturedLog log;
  const auto readTwice = [this] {
    EXPECT_THAT(read(), IsEmpty());
    EXPECT_THAT(read(), IsEmpty());
  };
  makeImage(kSpan + 1);
  writeList(ByteWriter().u32(kChecksumOfOne).u32(0x11223344));
  readTwice();
  EXPECT_EQ(log.lines("win.r1.crc is not served: it has 8 bytes, and the image needs one of 12"),
            1);
  writeList(ByteWriter().u32(kChecksumOfOne).u32(0x11223344).u32(0x55667788));
  readTwice();
  EXPECT_EQ(log.lines("win.r1.crc is not served: it is damaged"), 1);
  writeList(ByteWriter().u32(kChecksumOfTwo).u32(0x11223344).u32(0x55667788));
  EXPECT_THAT(read(), SizeIs(12));
  const auto imageTime = fs::last_write_time(directory_ / "win.r1");
  fs::last_write_time(directory_ / "win.r1.crc", imageTime - std::chrono::seconds(1));
  readTwice();
  EXPECT_EQ(log.lines("win.r1.crc is not served: it is older than the image"), 1);
  EXPECT_EQ(log.lines(""), 3);
}

TEST_F(ChecksumListsTest, IsNotServedToThoseWhoHoldAnImageThatAnotherOneReplaced) {
  makeImage(kSpan);
  const auto before = catalog_.open("win", 1);
  fs::rename(directory_ / "win.r1", directory_ / "win.old");
  makeImage(kSpan);
  const auto list = ByteWriter().u32(kChecksumOfOne).u32(0x11223344);
  writeList(list);
  EXPECT_THAT(lists_.read(*before), IsEmpty());
  EXPECT_FALSE(lists_.has(*before));
  EXPECT_EQ(read(), list.bytes());
  fs::remove(directory_ / "win.r1");
  EXPECT_THAT(lists_.read(*before), IsEmpty());
}

}  // namespace
}  // namespace netcow
