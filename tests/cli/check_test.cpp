// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/whole_io.h"
#include "session/session.h"
#include "support/process.h"
#include "support/temporary_directory.h"

namespace netcow::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

ProcessResult check(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {NETCOW_PROGRAM, "check"});
  return runProcess(arguments);
}

class CheckCommand : public testing::Test {
 protected:
  CheckCommand() {
    NewSession settings;
    settings.imageName = "lab";
    settings.baseSize = 10'000'000;
    session_ = Session::create(directory_, settings);
    EXPECT_FALSE(session_->write(std::vector<std::byte>(4'096, std::byte{1}), 4'096));
  }
  void close() {
    EXPECT_FALSE(session_->close());
    session_.reset();
  }
  void overwriteMeta(std::streamoff offset, const std::string& bytes) {
    std::fstream meta(directory_ + "/meta", std::ios::in | std::ios::out | std::ios::binary);
    meta.seekp(offset);
    meta << bytes;
  }

  const TemporaryDirectory folder_;
  const std::string directory_ = folder_ / "session";
  std::unique_ptr<Session> session_;
};

TEST_F(CheckCommand, SaysInOneLineThatASessionIsSound) {
  close();
  const ProcessResult result = check({directory_});
  EXPECT_EQ(result.exitStatus, 0);
  EXPECT_EQ(result.output, directory_ + ": sound; closed; 1 table, 1 cluster, 1 local block\n");
}

TEST_F(CheckCommand, OnlyLooksAtASessionThatIsInUse) {
  const ProcessResult result = check({directory_});
  EXPECT_EQ(result.exitStatus, 0);
  EXPECT_THAT(result.output, HasSubstr("sound; in use"));
  const ProcessResult repair = check({directory_, "--repair"});
  EXPECT_EQ(repair.exitStatus, 1);
  EXPECT_THAT(repair.output, AllOf(HasSubstr("is in use"), HasSubstr("unmount it first")));
}

TEST_F(CheckCommand, MendsOnlyWhenAsked) {
  close();
  overwriteMeta(44, std::string(4, '\0'));
  const std::string damaged = readTextFile(directory_ + "/meta");
  const ProcessResult first = check({directory_});
  EXPECT_EQ(first.exitStatus, 1);
  EXPECT_THAT(first.output, AllOf(HasSubstr("/meta counts 0 tables, but L1 names 1. Only a count"),
                                  HasSubstr("not sound: 1 problem"), HasSubstr("--repair")));
  EXPECT_TRUE(readTextFile(directory_ + "/meta") == damaged);
  const ProcessResult repair = check({"--repair", directory_});
  EXPECT_EQ(repair.exitStatus, 0);
  EXPECT_THAT(repair.output,
              AllOf(HasSubstr("kept a copy of the old `meta` as meta.before-repair\n"),
                    HasSubstr("counted anew: tables in use: 1"), HasSubstr(": sound; closed")));
  EXPECT_TRUE(readTextFile(directory_ + "/meta.before-repair") == damaged);
  EXPECT_EQ(check({directory_}).exitStatus, 0);
}

TEST_F(CheckCommand, TellsProgramsWhatItFound) {
  close();
  overwriteMeta(65'536, "\x01");
  const ProcessResult result = check({directory_, "--json"});
  EXPECT_EQ(result.exitStatus, 1);
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["sound"], false);
  EXPECT_EQ(json["state"], "closed");
  EXPECT_EQ(json["problems"], 1);
  ASSERT_EQ(json["findings"].size(), 1U);
  EXPECT_EQ(json["findings"][0]["kind"], "offset-range");
  EXPECT_EQ(json["findings"][0]["file"], "meta");
  EXPECT_EQ(json["findings"][0]["repairable"], false);
  const auto repair = nlohmann::json::parse(check({directory_, "--json", "--repair"}).output);
  EXPECT_EQ(repair["done"].size(), 0U);
  EXPECT_EQ(repair["before"]["problems"], 1);
}

TEST_F(CheckCommand, SaysWhatAKilledProcessLeftAndRecoversIt) {
  session_.reset();
  const ProcessResult first = check({directory_});
  EXPECT_EQ(first.exitStatus, 0);
  EXPECT_THAT(first.output, AllOf(HasSubstr("that was killed"), HasSubstr("1 note")));
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/live"));
  const ProcessResult repair = check({directory_, "--repair"});
  EXPECT_EQ(repair.exitStatus, 0);
  EXPECT_THAT(repair.output, HasSubstr("recovered the session"));
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/live"));
}

TEST_F(CheckCommand, FailsWithOneLineWithoutASession) {
  const ProcessResult result = check({folder_ / "none"});
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_THAT(result.output, testing::StartsWith("netcow check: " + (folder_ / "none")));
  EXPECT_EQ(result.output.find('\n'), result.output.size() - 1);
  EXPECT_EQ(check({}).exitStatus, 2);
}

TEST_F(CheckCommand, SaysThatAnyOtherFolderIsNoSession) {
  const ProcessResult result = check({folder_.path()});
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_THAT(result.output, HasSubstr("/meta is missing"));
}

}  // namespace
}  // namespace netcow::test
