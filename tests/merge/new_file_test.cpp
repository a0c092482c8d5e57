// SPDX-License-Identifier: Apache-2.0
#include "merge/new_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>

#include "base/errors.h"
#include "base/whole_io.h"
#include "merge/test_files.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::namesIn;
using test::TemporaryDirectory;
using testing::ElementsAre;
using testing::IsEmpty;

int errnoOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::system_error& error) {
    return toErrno(error.code());
  }
  return 0;
}

void writeText(const NewFile& file, const std::string& text) {
  ASSERT_FALSE(pwriteAll(file.fd(), std::as_bytes(std::span(text)), 0));
}

class NewFileOfKind : public testing::TestWithParam<NewFile::Kind> {
 protected:
  TemporaryDirectory folder_;
  std::string path_ = folder_ / "image.r2";
};

INSTANTIATE_TEST_SUITE_P(Each, NewFileOfKind,
                         testing::Values(NewFile::Kind::unnamed, NewFile::Kind::hidden),
                         [](const auto& kind) {
                           return kind.param == NewFile::Kind::unnamed ? "Unnamed" : "Hidden";
                         });

TEST_P(NewFileOfKind, HasItsNameOnlyOncePublished) {
  NewFile file(path_, GetParam());
  writeText(file, "content");
  EXPECT_FALSE(std::filesystem::exists(path_));
  file.publish(0644);
  EXPECT_EQ(readTextFile(path_), "content");
  EXPECT_THAT(namesIn(folder_.path()), ElementsAre("image.r2"));
}

TEST_P(NewFileOfKind, StaysWhenItsMakerIsGone) {
  {
    NewFile file(path_, GetParam());
    file.publish(0644);
  }
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_P(NewFileOfKind, LeavesNothingUnlessPublished) {
  {
    const NewFile file(path_, GetParam());
    writeText(file, "content");
  }
  EXPECT_THAT(namesIn(folder_.path()), IsEmpty());
}

TEST_P(NewFileOfKind, TakesThePermissionsItIsGiven) {
  NewFile file(path_, GetParam());
  file.publish(0640);
  struct stat status = {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0640U);
}

TEST_P(NewFileOfKind, RefusesANameThatIsTaken) {
  replaceTextFile(path_, "other", false);
  EXPECT_EQ(errnoOf([&] { const NewFile file(path_, GetParam()); }), EEXIST);
  EXPECT_EQ(readTextFile(path_), "other");
  EXPECT_THAT(namesIn(folder_.path()), ElementsAre("image.r2"));
}

TEST_P(NewFileOfKind, NeverReplacesAFileThatCameMeanwhile) {
  {
    NewFile file(path_, GetParam());
    writeText(file, "content");
    replaceTextFile(path_, "other", false);
    EXPECT_EQ(errnoOf([&] { file.publish(0644); }), EEXIST);
  }
  EXPECT_EQ(readTextFile(path_), "other");
  EXPECT_THAT(namesIn(folder_.path()), ElementsAre("image.r2"));
}

TEST_P(NewFileOfKind, NeverWritesThroughADanglingLink) {
  std::filesystem::create_symlink(folder_ / "elsewhere", path_);
  EXPECT_EQ(errnoOf([&] { const NewFile file(path_, GetParam()); }), EEXIST);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "elsewhere"));
}

TEST_P(NewFileOfKind, SaysWhichFolderIsMissing) {
  const std::string missing = folder_ / "missing";
  try {
    const NewFile file(missing + "/image.r2", GetParam());
    FAIL() << "did not throw";
  } catch (const std::system_error& error) {
    EXPECT_EQ(toErrno(error.code()), ENOENT);
    EXPECT_NE(std::string(error.what()).find(missing), std::string::npos);
  }
}

TEST_P(NewFileOfKind, TakesAPlainNameForTheCurrentFolder) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  {
    NewFile file("plain", GetParam());
    file.publish(0600);
  }
  std::filesystem::current_path(before);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "plain"));
}

}  // namespace
}  // namespace netcow
