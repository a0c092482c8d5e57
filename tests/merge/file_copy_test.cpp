// SPDX-License-Identifier: Apache-2.0
#include "merge/file_copy.h"

#include <gtest/gtest.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "base/errors.h"
#include "base/unique_fd.h"
#include "merge/test_files.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::allocatedBytes;
using test::readFrom;
using test::readWhole;
using test::setFileSize;
using test::TemporaryDirectory;
using test::writeAt;

constexpr std::uint64_t kMiB = 1U << 20U;
constexpr std::uint64_t kGiB = 1U << 30U;

const std::atomic<bool> kNever = false;

/// Copies `length` bytes of one file to another, made for it.
void copyFile(const std::string& from, const std::string& to, std::uint64_t length,
              const std::atomic<bool>& cancel = kNever) {
  const UniqueFd in = test::openForTest(from);
  const UniqueFd out = test::openForTest(to);
  copyContent({in.get(), from}, {out.get(), to}, length, cancel);
}

std::vector<std::byte> randomBytes(std::size_t count) {
  static test::SeededRandom random(1);
  return random.bytes(count);
}

TEST(CopyContent, CopiesEveryByte) {
  const TemporaryDirectory folder;
  const auto content = randomBytes(20 * kMiB + 5);  // more than one part, and an odd rest
  writeAt(folder / "from", content);
  copyFile(folder / "from", folder / "to", content.size());
  EXPECT_TRUE(readWhole(folder / "to") == content);
}

TEST(CopyContent, StopsAtTheLengthGiven) {
  const TemporaryDirectory folder;
  const auto content = randomBytes(10'000);
  writeAt(folder / "from", content);
  copyFile(folder / "from", folder / "to", 4097);
  EXPECT_EQ(readWhole(folder / "to"),
            std::vector<std::byte>(content.begin(), content.begin() + 4097));
}

TEST(CopyContent, CopiesNothingOfAnEmptyFile) {
  const TemporaryDirectory folder;
  setFileSize(folder / "from", 0);
  copyFile(folder / "from", folder / "to", 0);
  EXPECT_EQ(std::filesystem::file_size(folder / "to"), 0U);
}

TEST(CopyContent, LeavesHolesHoles) {
  const TemporaryDirectory folder;
  const auto island = randomBytes(kMiB);
  setFileSize(folder / "from", 2 * kGiB);
  writeAt(folder / "from", island, kGiB);
  copyFile(folder / "from", folder / "to", 2 * kGiB);
  EXPECT_EQ(readFrom(folder / "to", kGiB, kMiB), island);
  EXPECT_EQ(readFrom(folder / "to", kGiB - kMiB, kMiB), std::vector<std::byte>(kMiB));
  EXPECT_LT(allocatedBytes(folder / "to"), 2 * kMiB);
}

TEST(CopyContent, CopiesBetweenFileSystems) {
  // There the kernel refuses to copy by itself.
  const std::filesystem::path memory = "/dev/shm";
  const TemporaryDirectory folder;
  struct statfs here = {};
  struct statfs there = {};
  if (::statfs(folder.path().c_str(), &here) != 0 || ::statfs(memory.c_str(), &there) != 0 ||
      here.f_type == there.f_type || ::access(memory.c_str(), W_OK) != 0) {
    GTEST_SKIP() << "/dev/shm is no other file system here";
  }
  const std::string from = memory / ("netcow-copy-test-" + std::to_string(::getpid()));
  const auto content = randomBytes(9 * kMiB + 1);
  writeAt(from, content, kMiB);
  copyFile(from, folder / "to", content.size() + kMiB);
  std::filesystem::remove(from);
  EXPECT_TRUE(readFrom(folder / "to", kMiB, content.size()) == content);
  EXPECT_EQ(readFrom(folder / "to", 0, kMiB), std::vector<std::byte>(kMiB));
}

TEST(CopyContent, NoticesThatAFileBecameShorter) {
  const TemporaryDirectory folder;
  writeAt(folder / "from", randomBytes(5000));
  EXPECT_THROW(copyFile(folder / "from", folder / "to", 5001), UserError);
}

TEST(CopyContent, StopsWhenCancelled) {
  const TemporaryDirectory folder;
  writeAt(folder / "from", randomBytes(5000));
  const std::atomic<bool> cancelled = true;
  try {
    copyFile(folder / "from", folder / "to", 5000, cancelled);
    FAIL() << "did not throw";
  } catch (const std::system_error& error) {
    EXPECT_EQ(toErrno(error.code()), ECANCELED);
  }
}

TEST(CopyContent, SaysWhatCannotBeWritten) {
  const TemporaryDirectory folder;
  writeAt(folder / "from", randomBytes(5000));
  const UniqueFd in = test::openForTest(folder / "from");
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  try {
    copyContent({in.get(), folder / "from"}, {full.get(), "the output"}, 5000, kNever);
    FAIL() << "did not throw";
  } catch (const std::system_error& error) {
    EXPECT_EQ(toErrno(error.code()), ENOSPC);
    EXPECT_EQ(std::string(error.what()).find("cannot write the output"), 0U);
  }
}

TEST(ShareContent, GivesTheWholeContentOrLeavesTheFileEmpty) {
  const TemporaryDirectory folder;  // on ext4 it cannot be shared, on btrfs and xfs it can
  const auto content = randomBytes(5000);
  writeAt(folder / "from", content);
  const UniqueFd in = test::openForTest(folder / "from");
  const UniqueFd out = test::openForTest(folder / "to");
  if (shareContent({in.get(), folder / "from"}, {out.get(), folder / "to"})) {
    EXPECT_EQ(readWhole(folder / "to"), content);
  } else {
    EXPECT_EQ(std::filesystem::file_size(folder / "to"), 0U);
  }
}

}  // namespace
}  // namespace netcow
