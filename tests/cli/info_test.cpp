// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/whole_io.h"
#include "session/origin.h"
#include "session/session.h"
#include "support/process.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::ProcessResult;
using test::runProcess;
using testing::HasSubstr;
using testing::StartsWith;

ProcessResult info(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {NETCOW_PROGRAM, "info"});
  return runProcess(arguments);
}

/// A session with three local blocks in two clusters.
class Info : public testing::Test {
 protected:
  Info() {
    NewSession settings;
    settings.imageName = "lab/demo";
    settings.uploadUuid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
    settings.baseSize = 10'000'000;
    session_ = Session::create(directory_, settings);
    EXPECT_FALSE(session_->write(std::vector<std::byte>(2 * 4096, std::byte{1}), 318 * 4096));
    EXPECT_FALSE(session_->write(std::vector<std::byte>(4096, std::byte{1}), 320 * 4096));
  }

  void close() {
    ASSERT_FALSE(session_->close());
    session_.reset();
  }

  nlohmann::json json() {
    const ProcessResult result = info({directory_, "--json"});
    EXPECT_EQ(result.exitStatus, 0) << result.output;
    return nlohmann::json::parse(result.output);
  }

  test::TemporaryDirectory folder_;
  std::string directory_ = folder_ / "session";
  std::unique_ptr<Session> session_;
};

TEST_F(Info, TellsProgramsWhatASessionHolds) {
  close();
  auto got = json();
  EXPECT_GT(got["creationTime"], 1'600'000'000);
  EXPECT_GE(got["dataFileBytes"], 1'310'720 + 321 * 4096);
  got.erase("creationTime");
  got.erase("dataFileBytes");
  const auto expected = nlohmann::json::parse(R"({
    "open": false, "imageName": "lab/demo", "imageSize": 10000000, "validRemoteSize": 10000000,
    "maxImageSize": 1000000000000, "uploadUuid": "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
    "clusters": 2, "dirtyClusters": 2, "failedClusters": 0, "localBlocks": 3, "localBytes": 12288,
    "uploads": 0, "origin": null})");
  got.erase("session");
  EXPECT_EQ(got, expected);
}

TEST_F(Info, TellsPeopleWhatASessionHolds) {
  close();
  const ProcessResult result = info({directory_});
  EXPECT_EQ(result.exitStatus, 0);
  EXPECT_THAT(result.output, HasSubstr("Image         lab/demo\n"));
  EXPECT_THAT(result.output, HasSubstr("State         closed\n"));
  EXPECT_THAT(result.output, HasSubstr("Image size    9.5 MiB (10000000 bytes)\n"));
  EXPECT_THAT(result.output, HasSubstr("3 blocks in 2 clusters, 12.0 KiB (12288 bytes)\n"));
  EXPECT_THAT(result.output, HasSubstr("Not uploaded  2 clusters\n"));
}

TEST_F(Info, CountsUploadsAndFailures) {
  ASSERT_EQ(session_->takeDirty(Clock::Time::max()), 0U);
  EXPECT_TRUE(session_->acknowledgeUpload(0, session_->snapshot(0).changes));
  ASSERT_EQ(session_->takeDirty(Clock::Time::max()), 1U);
  session_->failUpload(1);
  close();
  const auto got = json();
  EXPECT_EQ(got["uploads"], 1);
  EXPECT_EQ(got["dirtyClusters"], 1);
  EXPECT_EQ(got["failedClusters"], 1);
  EXPECT_THAT(info({directory_}).output, HasSubstr("1 cluster, 1 failed at the last attempt\n"));
}

TEST_F(Info, LooksAtASessionThatIsInUse) {
  EXPECT_EQ(json()["open"], true);
  EXPECT_EQ(json()["localBlocks"], 3);
}

TEST_F(Info, ChangesNothing) {
  close();
  const std::string meta = readTextFile(directory_ + "/meta");
  info({directory_});
  EXPECT_TRUE(readTextFile(directory_ + "/meta") == meta);
}

TEST_F(Info, TellsWhereTheBaseCameFrom) {
  close();
  Origin origin;
  origin.imageName = "lab/demo";
  origin.revision = 7;
  origin.baseSize = 10'000'000;
  origin.source = "server";
  origin.uploadPrefix = "http://server/cow/";
  origin.merge = MergeState::done;
  origin.save(directory_);
  const auto expected = nlohmann::json::parse(R"({
    "imageName": "lab/demo", "revision": 7, "baseSize": 10000000, "source": "server",
    "uploadPrefix": "http://server/cow/", "merge": "done"})");
  EXPECT_EQ(json()["origin"], expected);
  const std::string text = info({directory_}).output;
  EXPECT_THAT(text, HasSubstr("lab/demo revision 7"));
  EXPECT_THAT(text, HasSubstr("Merge         accepted by the server\n"));
}

TEST(InfoCommand, FailsWithOneLineWithoutASession) {
  const test::TemporaryDirectory folder;
  const ProcessResult result = info({folder / "none"});
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_THAT(result.output, StartsWith("netcow info: " + (folder / "none")));
  EXPECT_EQ(result.output.find('\n'), result.output.size() - 1);
}

TEST(InfoCommand, TellsWrongUsage) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{{}, {"a", "b"}, {"--bogus"}}) {
    const ProcessResult result = info(arguments);
    EXPECT_EQ(result.exitStatus, 2);
    EXPECT_THAT(result.output, StartsWith("netcow info: "));
  }
}

TEST(InfoCommand, TellsItsOptions) {
  const ProcessResult result = info({"--help"});
  EXPECT_EQ(result.exitStatus, 0);
  EXPECT_THAT(result.output, HasSubstr("--json"));
}

}  // namespace
}  // namespace netcow
