// SPDX-License-Identifier: Apache-2.0
#include "upload/status_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "base/whole_io.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::TemporaryDirectory;
TEST(StatusFile, CanBeReadUnderItsOldName) {
  const TemporaryDirectory directory;
  StatusFile file = StatusFile::status(directory.path());
  file.write("one\n");
  EXPECT_EQ(readTextFile(directory / "status"), "one\n");
  EXPECT_EQ(std::filesystem::read_symlink(directory / "status.txt"), "status");
  file.write("two\n");
  EXPECT_EQ(readTextFile(directory / "status.txt"), "two\n");
}

TEST(StatusFile, ReplacesAnOldFileByTheLink) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "status.txt") << "left by a very old version\n";
  StatusFile file = StatusFile::status(directory.path());
  file.write("new\n", /*durable=*/true);
  EXPECT_EQ(readTextFile(directory / "status.txt"), "new\n");
  const StatusFile again = StatusFile::status(directory.path());  // finds its own link
  EXPECT_EQ(std::filesystem::read_symlink(directory / "status.txt"), "status");
}

TEST(StatusFile, BelongsToItsUserAlone) {
  const TemporaryDirectory directory;
  StatusFile::status(directory.path()).write("x\n");
  struct stat info = {};
  ASSERT_EQ(::stat((directory / "status").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST(StatusFile, DoesNotFailTheUploadWhenItCannotBeWritten) {
  const TemporaryDirectory directory;
  StatusFile file = StatusFile::status(directory / "no-such-folder");
  EXPECT_NO_THROW(file.write("x\n"));
}

TEST(StatusFile, OfProgressHasNoOldName) {
  const TemporaryDirectory directory;
  StatusFile::progress(directory.path()).write("x\n");
  EXPECT_EQ(readTextFile(directory / "progress"), "x\n");
  EXPECT_FALSE(std::filesystem::exists(directory / "status"));
  EXPECT_FALSE(std::filesystem::is_symlink(directory / "status.txt"));
}

TEST(StatusFile, IsNeverSeenHalfWritten) {
  const TemporaryDirectory directory;
  StatusFile file = StatusFile::status(directory.path());
  const std::string texts[] = {std::string(20'000, 'a'), std::string(100, 'b')};
  file.write(texts[0]);
  std::atomic<bool> ended = false;
  std::thread writer([&] {
    for (int i = 0; i < 500; ++i) {
      file.write(texts[i % 2]);
    }
    ended = true;
  });
  while (!ended) {
    const std::string seen = readTextFile(directory / "status");
    EXPECT_TRUE(seen == texts[0] || seen == texts[1]) << seen.size() << " bytes";
  }
  writer.join();
}

}  // namespace
}  // namespace netcow
