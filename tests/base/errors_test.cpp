// SPDX-License-Identifier: Apache-2.0
#include "base/errors.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <future>
#include <string>
#include <system_error>

namespace netcow {
namespace {

TEST(Errors, ErrnoSurvivesTheWayThroughACode) {
  EXPECT_EQ(toErrno(errnoCode(ENOSPC)), ENOSPC);
  EXPECT_EQ(toErrno(errnoCode(0)), 0);
  EXPECT_FALSE(errnoCode(0));
}

TEST(Errors, SystemErrorsAreErrnoValuesToo) {
  EXPECT_EQ(toErrno(std::error_code(ECONNRESET, std::system_category())), ECONNRESET);
}

TEST(Errors, AnyOtherKindOfErrorIsAnInputOutputError) {
  EXPECT_EQ(toErrno(std::make_error_code(std::future_errc::no_state)), EIO);
}

TEST(Errors, ThrownErrnoKeepsItsNumberAndContext) {
  try {
    throwErrno(ENOENT, "cannot open /srv/a.r1");
    FAIL() << "did not throw";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_EQ(std::string(error.what()).find("cannot open /srv/a.r1"), 0U);
  }
}

TEST(Errors, ThrowsTheCurrentErrno) {
  errno = EACCES;
  try {
    throwErrno("cannot read");
    FAIL() << "did not throw";
  } catch (const std::system_error& error) {
    EXPECT_EQ(toErrno(error.code()), EACCES);
  }
}

TEST(Errors, UserErrorFailsTheCommandUnlessItSaysOtherwise) {
  EXPECT_EQ(UserError("no such image").status(), ExitStatus::failed);
  EXPECT_EQ(UserError("give -h", ExitStatus::usage).status(), ExitStatus::usage);
  EXPECT_STREQ(UserError("give -h").what(), "give -h");
}

TEST(Errors, ExitStatusesAreTheNumbersScriptsKnow) {
  EXPECT_EQ(static_cast<int>(ExitStatus::done), 0);
  EXPECT_EQ(static_cast<int>(ExitStatus::failed), 1);
  EXPECT_EQ(static_cast<int>(ExitStatus::usage), 2);
  EXPECT_EQ(static_cast<int>(ExitStatus::notUploaded), 3);
  EXPECT_EQ(static_cast<int>(ExitStatus::notMerged), 4);
}

}  // namespace
}  // namespace netcow
