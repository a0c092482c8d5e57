// SPDX-License-Identifier: Apache-2.0
#include "base/whole_io.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "base/errors.h"
#include "base/unique_fd.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::TemporaryDirectory;

UniqueFd openFile(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

std::vector<std::byte> bytes(const std::string& text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

TEST(WholeIo, ReadsWhatWasWritten) {
  const TemporaryDirectory folder;
  const UniqueFd file = openFile(folder / "file");
  ASSERT_FALSE(pwriteAll(file.get(), bytes("abcdef"), 3));
  std::vector<std::byte> got(4);
  ASSERT_FALSE(preadOrZeros(file.get(), got, 4));
  EXPECT_EQ(got, bytes("bcde"));
}

TEST(WholeIo, ReadsZerosBehindTheEnd) {
  const TemporaryDirectory folder;
  const UniqueFd file = openFile(folder / "file");
  ASSERT_FALSE(pwriteAll(file.get(), bytes("end"), 0));
  std::vector<std::byte> got(6, std::byte{0xFF});
  ASSERT_FALSE(preadOrZeros(file.get(), got, 1));
  EXPECT_EQ(got, bytes(std::string("nd\0\0\0\0", 6)));
  ASSERT_FALSE(preadOrZeros(file.get(), got, 1'000'000));
  EXPECT_EQ(got, std::vector<std::byte>(6));
}

TEST(WholeIo, TellsErrorsAsErrno) {
  const UniqueFd readOnly(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(toErrno(pwriteAll(readOnly.get(), bytes("x"), 0)), EBADF);
  std::vector<std::byte> got(1);
  EXPECT_EQ(toErrno(preadOrZeros(-1, got, 0)), EBADF);
}

TEST(WholeIo, ReportsAFullDisk) {
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full);
  EXPECT_EQ(toErrno(pwriteAll(full.get(), bytes("x"), 0)), ENOSPC);
}

TEST(TextFile, IsReadWhole) {
  const TemporaryDirectory folder;
  std::string text;
  for (int i = 0; i < 3000; ++i) {
    text += std::to_string(i) + "\n";  // longer than one read
  }
  replaceTextFile(folder / "file", text, false);
  EXPECT_EQ(readTextFile(folder / "file"), text);
}

TEST(TextFile, IsReplacedWhole) {
  const TemporaryDirectory folder;
  for (const bool durable : {false, true}) {
    replaceTextFile(folder / "file", "a longer text", durable);
    replaceTextFile(folder / "file", "short", durable);
    EXPECT_EQ(readTextFile(folder / "file"), "short");
    EXPECT_FALSE(std::filesystem::exists(folder / "file.new"));
  }
}

TEST(TextFile, IsForItsOwnerOnly) {
  const TemporaryDirectory folder;
  replaceTextFile(folder / "file", "secret", false);
  struct stat status = {};
  ASSERT_EQ(::stat((folder / "file").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST(TextFile, KeepsTheOldTextWhenItCannotBeReplaced) {
  const TemporaryDirectory folder;
  replaceTextFile(folder / "file", "old", false);
  std::filesystem::create_directory(folder / "file.new");  // in the way
  EXPECT_THROW(replaceTextFile(folder / "file", "new", true), std::system_error);
  EXPECT_EQ(readTextFile(folder / "file"), "old");
}

TEST(TextFile, MissingFileIsNamedInTheError) {
  const TemporaryDirectory folder;
  try {
    readTextFile(folder / "none");
    FAIL() << "did not throw";
  } catch (const std::system_error& error) {
    EXPECT_EQ(toErrno(error.code()), ENOENT);
    EXPECT_NE(std::string(error.what()).find(folder / "none"), std::string::npos);
  }
}

TEST(SyncFolder, TakesNoNameForTheCurrentFolder) {
  EXPECT_NO_THROW(syncFolder(""));
}

TEST(SyncFolder, RefusesAFile) {
  const TemporaryDirectory folder;
  replaceTextFile(folder / "file", "", false);
  EXPECT_THROW(syncFolder(folder / "file"), std::system_error);
}

}  // namespace
}  // namespace netcow
