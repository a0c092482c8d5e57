// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/errors.h"
#include "base/whole_io.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Access : public testing::Test {
 protected:
  void write(const std::string& text) const { std::ofstream(file_) << text; }
  [[nodiscard]] std::string problem() const {
    try {
      static_cast<void>(UploadAccess(file_, ""));
      return "none";
    } catch (const UserError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
  }

  test::TemporaryDirectory directory_;
  const std::string file_ = directory_ / "token";
};

TEST_F(Access, SendsNothingUnlessAsked) {
  EXPECT_EQ(UploadAccess().current().token, "");
}

TEST_F(Access, TakesTheTokenWithoutTheLineEnd) {
  write("  abc.DEF-123_~+/==\r\n");
  EXPECT_EQ(UploadAccess(file_, "").current().token, "abc.DEF-123_~+/==");
}

TEST_F(Access, SaysWhatIsWrongWithTheFileAndNotWhatIsInIt) {
  EXPECT_THAT(problem(), AllOf(HasSubstr(file_), HasSubstr("No such file")));
  write(" \n");
  EXPECT_THAT(problem(), HasSubstr("is empty"));
  for (const char* text : {"two words", "secret\nsecret", "secret\x01", "secr\xc3\xa4t"}) {
    write(text);
    EXPECT_THAT(problem(), AllOf(HasSubstr("several words"), Not(HasSubstr("secr")))) << text;
  }
  write(std::string(9'000, 'a'));
  EXPECT_THAT(problem(), HasSubstr("too long"));
  std::filesystem::remove(file_);
  std::filesystem::create_directory(file_);
  EXPECT_THAT(problem(), HasSubstr("is no file"));
}

TEST_F(Access, ReadsATokenThatWasReplaced) {
  write("first");
  UploadAccess access(file_, "");
  EXPECT_EQ(access.current().token, "first");
  replaceTextFile(file_, "second", false);
  EXPECT_EQ(access.current().token, "second");
}

TEST_F(Access, GoesOnWithTheLastTokenWhileTheFileIsBeingRewritten) {
  write("first");
  UploadAccess access(file_, "");
  write("");
  EXPECT_EQ(access.current().token, "first");
  std::filesystem::remove(file_);
  EXPECT_EQ(access.current().token, "first");
  write("second");
  EXPECT_EQ(access.current().token, "second");
}

TEST_F(Access, RefusesAFileOfCertificatesThatCannotBeRead) {
  EXPECT_THROW(UploadAccess("", file_), UserError);
  write("");
  EXPECT_THROW(UploadAccess("", file_), UserError);
}

}  // namespace
}  // namespace netcow
