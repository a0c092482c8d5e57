// SPDX-License-Identifier: Apache-2.0
// Each way a session's files can be wrong is one clear line, and nothing is changed.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/errors.h"
#include "session/damages.h"
#include "session/session.h"
#include "support/temporary_directory.h"

namespace netcow::test {
namespace {

class UnsoundSession : public testing::TestWithParam<Damage> {};

TEST_P(UnsoundSession, IsRefusedWithOneClearLine) {
  const TemporaryDirectory temporary;
  const std::string directory = temporary / "s";
  makeSoundSession(directory);
  GetParam().apply(directory);
  for (const bool inspect : {false, true}) {
    try {
      if (inspect) {
        inspectSession(directory);
      } else {
        Session::open(directory);
      }
      FAIL() << "accepted";
    } catch (const UserError& error) {
      const std::string line = error.what();
      EXPECT_NE(line.find(GetParam().expected), std::string::npos) << line;
      EXPECT_NE(line.find(directory), std::string::npos) << line;
      EXPECT_EQ(line.find('\n'), std::string::npos);
    }
  }
  EXPECT_FALSE(std::filesystem::exists(directory + "/live"));
}

INSTANTIATE_TEST_SUITE_P(Each, UnsoundSession, testing::ValuesIn(kDamages),
                         [](const auto& test) { return test.param.name; });

TEST(OpenSession, ThatIsNoFolderIsRefused) {
  const TemporaryDirectory temporary;
  EXPECT_THROW(Session::open(temporary / "missing"), UserError);
}

}  // namespace
}  // namespace netcow::test
