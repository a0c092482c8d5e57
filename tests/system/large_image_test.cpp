// SPDX-License-Identifier: Apache-2.0

// Images of terabytes, which cost only what is in them.

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/unique_fd.h"
#include "format/geometry.h"
#include "support/file_access.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kTerabyte = std::uint64_t{1} << 40U;

/// A sparse file with a word at its end.
void makeSparse(const std::string& path, std::uint64_t size) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0) << std::strerror(errno);
  ASSERT_EQ(writeAt(fd.get(), "the end", size - 7), 7);
}

UniqueFd openFile(const std::string& path, int flags) {
  return UniqueFd(::open(path.c_str(), flags | O_CLOEXEC));
}

/// `size`: of the base; `grown`: what it is made to be in the mount. Ends with a merged revision.
void editAndMerge(std::uint64_t size, std::uint64_t grown, const Arguments& options) {
  const TemporaryDirectory folder;
  std::filesystem::create_directory(folder / "images");
  makeSparse(folder / "images/big.r1", size);
  RunningServer server(folder / "images");
  Arguments all = {"-h", server.blocksAddress(), "-i", "big", "-c", folder / "session",
                   "-C", server.httpAddress(),   "-m"};
  all.insert(all.end(), options.begin(), options.end());
  RunningMount mount(folder / "mnt", all);
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  {
    const UniqueFd fd = openFile(mount.image(), O_RDWR);
    EXPECT_EQ(readAt(fd.get(), 7, size - 7), "the end");
    ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(grown)), 0) << std::strerror(errno);
    ASSERT_EQ(writeAt(fd.get(), "new end", grown - 7), 7);
    ASSERT_EQ(writeAt(fd.get(), "middle", grown / 3), 6);
    EXPECT_EQ(readAt(fd.get(), 7, grown - 7), "new end");
    EXPECT_EQ(::lseek(fd.get(), static_cast<off_t>(size), SEEK_HOLE),
              static_cast<off_t>(grown > size ? size : -1));
    EXPECT_EQ(writeAt(fd.get(), "x", kLargestImageSize), -1);
    EXPECT_EQ(errno, EFBIG);
  }
  const ProcessResult result = mount.unmount();
  ASSERT_EQ(result.exitStatus, 0) << result.output;
  const std::string merged = folder / "images/big.r2";
  ASSERT_TRUE(waitUntil([&] { return std::filesystem::exists(merged); }));
  EXPECT_EQ(sizeOf(merged), static_cast<off_t>(grown));
  EXPECT_LE(attributesOf(merged).st_blocks * 512, 16 << 20) << "sparse";
  const UniqueFd fd = openFile(merged, O_RDONLY);
  EXPECT_EQ(readAt(fd.get(), 7, grown - 7), "new end");
  EXPECT_EQ(readAt(fd.get(), 6, grown / 3), "middle");
  if (grown > size) {
    EXPECT_EQ(readAt(fd.get(), 9, size - 7), std::string("the end\0\0", 9));
  }
}

TEST(LargeImage, ASmallOneGrownAboveATerabyteIsUploadedAndMerged) {
  editAndMerge(10 * kClusterSize, 3 * kTerabyte, {"--max-image-size", "3T"});
}

TEST(LargeImage, OneAboveATerabyteNeedsNoOptionToGrow) {
  editAndMerge(2 * kTerabyte, 4 * kTerabyte - 4096, {});
}

/// The largest that ext4 can hold is a block less than 16 TiB.
TEST(LargeImage, OneOfSixteenTerabytesIsWrittenToItsEnd) {
  editAndMerge(16 * kTerabyte - kBlockSize, 16 * kTerabyte - kBlockSize, {});
}

TEST(LargeImage, ALimitBelowTheSizeIsWrongUsage) {
  const TemporaryDirectory folder;
  makeSparse(folder / "big.r1", 2 * kTerabyte);
  std::filesystem::create_directory(folder / "mnt");
  const ProcessResult result =
      runNetcow({"mount", "-f", "--source", "file://" + (folder / "big.r1"), "-c",
                 folder / "session", "--max-image-size", "1T", folder / "mnt"});
  EXPECT_EQ(result.exitStatus, 2);
  EXPECT_NE(result.output.find("--max-image-size"), std::string::npos) << result.output;
  EXPECT_FALSE(std::filesystem::exists(folder / "session/meta"));
}

}  // namespace
}  // namespace netcow::test
