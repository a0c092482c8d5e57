// SPDX-License-Identifier: Apache-2.0
// `netcow verify-image` of an image that `netcow serve` has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "support/checksummed_file.h"
#include "support/seeded_random.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::uint64_t kSpan = std::uint64_t{16} << 20U;

/// A served image of five spans, the last of them short and no whole number of blocks.
class VerifyServedImage : public testing::Test {
 protected:
  VerifyServedImage() {
    std::filesystem::create_directories(images_ + "/lab");
    writeFile(image_, random_.bytes(4 * kSpan + 12'345));
    writeChecksumList(image_, checksumsOf(image_));
  }
  void serve() { server_.emplace(images_); }
  ProcessResult verify(const Arguments& more = {}) {
    Arguments arguments = {"verify-image", "-h", server_->blocksAddress(), "-i", "lab/pc"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return runNetcow(arguments);
  }
  /// Another byte at `offset`, as a bad disk makes it. Before the server runs: unlike a bad disk
  /// this changes the time of the last change too, and then a server forgets the list.
  void damage(std::uint64_t offset) {
    std::fstream file(image_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(offset));
    const char other = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(other);
    ASSERT_TRUE(file.flush());
  }

  SeededRandom random_;
  TemporaryDirectory folder_;
  const std::string images_ = folder_ / "images";
  const std::string image_ = images_ + "/lab/pc.r2";
  std::optional<RunningServer> server_;
};

TEST_F(VerifyServedImage, FindsItGood) {
  serve();
  const ProcessResult result = verify();
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("lab/pc revision 2: good; all 5 checksums compared"));
}

TEST_F(VerifyServedImage, FindsEveryDamage) {
  const std::uint64_t first = random_.between(kSpan, 2 * kSpan - 1);
  damage(first);
  damage(4 * kSpan + 12'344);
  serve();
  const ProcessResult result = verify({"-r", "2"});
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_THAT(result.output, AllOf(HasSubstr("bytes 16777216 to 33554431: bad"),
                                   HasSubstr("bytes 67108864 to 67125247: bad"),
                                   HasSubstr("bad: 2 spans of 16 MiB differ")));
}

TEST_F(VerifyServedImage, NeedsAListThatFits) {
  serve();
  std::filesystem::resize_file(image_ + ".crc", 20);
  const ProcessResult result = verify();
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_THAT(result.output, HasSubstr("has no list of checksums; have its administrator put a "
                                       "sound lab/pc.r2.crc beside the image"));
}

TEST_F(VerifyServedImage, SaysThatThereIsNoSuchRevision) {
  serve();
  const ProcessResult result = verify({"-r", "3"});
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_THAT(result.output, HasSubstr("no server gives image lab/pc revision 3"));
}

}  // namespace
}  // namespace netcow::test
