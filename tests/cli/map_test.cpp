// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "session/session.h"
#include "support/process.h"
#include "support/temporary_directory.h"

namespace netcow::test {
namespace {

using testing::HasSubstr;

ProcessResult map(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {NETCOW_PROGRAM, "map"});
  return runProcess(arguments);
}

class MapCommand : public testing::Test {
 protected:
  MapCommand() {
    NewSession settings;
    settings.imageName = "lab";
    settings.baseSize = 10'000;
    settings.maxImageSize = kLargestImageSize;
    session_ = Session::create(directory_, settings);
    EXPECT_FALSE(session_->setSizes(kLargestImageSize - 1, 10'000));
    EXPECT_FALSE(session_->write(std::vector<std::byte>(4'096, std::byte{1}), 4'096));
    EXPECT_FALSE(
        session_->write(std::vector<std::byte>(4'096, std::byte{1}), std::uint64_t{1} << 43U));
  }

  const TemporaryDirectory folder_;
  const std::string directory_ = folder_ / "session";
  std::unique_ptr<Session> session_;
};

TEST_F(MapCommand, TellsProgramsTheRangesOfASessionThatIsInUse) {
  const ProcessResult result = map({directory_, "--json"});
  EXPECT_EQ(result.exitStatus, 0);
  const auto expected = nlohmann::json::parse(R"([
    {"offset": 0, "length": 4096, "kind": "base"},
    {"offset": 4096, "length": 4096, "kind": "local"},
    {"offset": 8192, "length": 1808, "kind": "base"},
    {"offset": 10000, "length": 8796093012208, "kind": "zero"},
    {"offset": 8796093022208, "length": 4096, "kind": "local"},
    {"offset": 8796093026304, "length": 8796093018111, "kind": "zero"}])");
  EXPECT_EQ(nlohmann::json::parse(result.output), expected);
}

TEST_F(MapCommand, TellsPeopleTheRangesOfASessionThatIsClosed) {
  ASSERT_FALSE(session_->close());
  const ProcessResult result = map({directory_});
  EXPECT_EQ(result.exitStatus, 0);
  EXPECT_THAT(result.output, testing::StartsWith("          offset           length  kind\n"
                                                 "               0             4096  base\n"
                                                 "            4096             4096  local\n"));
}

TEST_F(MapCommand, FailsWithOneLineWithoutASession) {
  const ProcessResult result = map({folder_ / "none"});
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_THAT(result.output, testing::StartsWith("netcow map: " + (folder_ / "none")));
  EXPECT_EQ(result.output.find('\n'), result.output.size() - 1);
}

}  // namespace
}  // namespace netcow::test
