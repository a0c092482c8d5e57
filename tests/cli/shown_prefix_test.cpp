// SPDX-License-Identifier: Apache-2.0
// What the program itself shows of an upload prefix.
#include <gmock/gmock.h>

#include <string>

#include "session/origin.h"
#include "session/session.h"
#include "support/process.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::runProcess;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ShownPrefix : public testing::Test {
 protected:
  ShownPrefix() {
    NewSession settings;
    settings.imageName = "demo";
    settings.baseSize = 4096;
    EXPECT_FALSE(Session::create(directory_, settings)->close());
  }
  /// What `netcow info` prints, as a text for people and then as JSON.
  std::string infoOf(const std::string& prefix) {
    Origin origin;
    origin.imageName = "demo";
    origin.revision = 1;
    origin.baseSize = 4096;
    origin.source = "server";
    origin.uploadPrefix = prefix;
    origin.save(directory_);
    const auto text = runProcess({NETCOW_PROGRAM, "info", directory_});
    const auto json = runProcess({NETCOW_PROGRAM, "info", "--json", directory_});
    EXPECT_EQ(text.exitStatus, 0);
    EXPECT_EQ(json.exitStatus, 0);
    return text.output + json.output;
  }

  test::TemporaryDirectory folder_;
  const std::string directory_ = folder_ / "session";
};

TEST_F(ShownPrefix, HidesUserAndPassword) {
  EXPECT_THAT(infoOf("http://user:secret@host:5000/cow"),
              AllOf(HasSubstr("Uploads to    http://host:5000/cow\n"),
                    HasSubstr(R"("uploadPrefix": "http://host:5000/cow")"), Not(HasSubstr("user")),
                    Not(HasSubstr("secret"))));
}

TEST_F(ShownPrefix, HidesThemInAnAddressThatCannotBeUsed) {
  EXPECT_THAT(
      infoOf("ftp://user:secret@host"),
      AllOf(HasSubstr("Uploads to    an address that cannot be used\n"), Not(HasSubstr("secret"))));
}

TEST_F(ShownPrefix, IsOtherwiseAsItWasGiven) {
  EXPECT_THAT(infoOf("http://host/cow/"), AllOf(HasSubstr("Uploads to    http://host/cow/\n"),
                                                HasSubstr(R"("http://host/cow/")")));
}

}  // namespace
}  // namespace netcow
