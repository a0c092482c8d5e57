// SPDX-License-Identifier: Apache-2.0
// Sessions that are thrown away, and uploads that are begun anew.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "session/session.h"
#include "support/seeded_random.h"
#include "system/netcow_system.h"
#include "upload/fake_upload_service.h"

namespace netcow::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Discard : public testing::Test {
 protected:
  Discard() {
    std::filesystem::create_directories(images_);
    content_ = random_.bytes(3 * kClusterSize);
    writeFile(images_ + "/pc.r1", content_);
    server_ = std::make_unique<RunningServer>(images_);
  }
  Arguments mountOptions(const Arguments& more) {
    Arguments all = {"-h", server_->blocksAddress(), "-i", "pc", "-c", session_};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  /// Changes a block in each cluster.
  void change(const std::string& image) {
    std::fstream file(image, std::ios::in | std::ios::out | std::ios::binary);
    for (std::uint64_t cluster = 0; cluster < 3; ++cluster) {
      const auto bytes = random_.bytes(kBlockSize);
      const auto offset = static_cast<std::ptrdiff_t>(cluster * kClusterSize + kBlockSize);
      file.seekp(offset);
      file.write(reinterpret_cast<const char*>(bytes.data()), kBlockSize);
      std::copy(bytes.begin(), bytes.end(), content_.begin() + offset);
    }
    ASSERT_TRUE(file.flush());
  }
  /// A session that was changed and unmounted.
  void makeSession(const Arguments& more) {
    RunningMount mount(mountpoint_, mountOptions(more));
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    change(mount.image());
    EXPECT_EQ(mount.unmount().exitStatus, 0);
  }
  /// Forgets every upload, as a server does whose disk was replaced.
  void forgetUploads() {
    server_->stop();
    std::filesystem::remove_all(images_ + "/.netcow");
    server_->start();
  }

  SeededRandom random_;
  TemporaryDirectory temporary_;
  const std::string images_ = temporary_ / "images";
  const std::string session_ = temporary_ / "session";
  const std::string mountpoint_ = temporary_ / "mnt";
  std::vector<std::byte> content_;
  std::unique_ptr<RunningServer> server_;
};

TEST_F(Discard, TakesTheUploadFromTheServerToo) {
  makeSession({"-C", server_->httpAddress()});
  const std::string uuid = inspectSession(session_).uploadUuid;
  const std::string kept = images_ + "/.netcow/" + uuid;
  EXPECT_TRUE(std::filesystem::exists(kept));
  const ProcessResult result = runNetcow({"discard", "--yes", session_});
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  EXPECT_EQ(result.output, session_ + ": thrown away\n");
  EXPECT_FALSE(std::filesystem::exists(session_));
  EXPECT_TRUE(waitUntil([&] { return !std::filesystem::exists(kept); }));
}

TEST_F(Discard, OnlyWarnsWhenTheServerIsAway) {
  makeSession({"-C", server_->httpAddress()});
  server_->stop();
  const ProcessResult result = runNetcow({"discard", "--yes", session_});
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("was not removed from http://"));
  EXPECT_FALSE(std::filesystem::exists(session_));
}

TEST_F(Discard, LeavesAnUploadAloneWhoseMergeWasAskedFor) {
  makeSession({"-C", server_->httpAddress(), "-m"});
  const ProcessResult result = runNetcow({"discard", "--yes", session_});
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  EXPECT_EQ(result.output, session_ + ": thrown away\n");
  EXPECT_TRUE(readFile(images_ + "/pc.r2") == content_);
}

TEST_F(Discard, AsksOnATerminalAndWantsAnAnswer) {
  makeSession({});
  const ProcessResult result = runNetcow({"discard", session_});
  EXPECT_EQ(result.exitStatus, 2);
  EXPECT_THAT(result.output, HasSubstr("--yes"));
  EXPECT_TRUE(std::filesystem::exists(session_ + "/meta"));
}

TEST_F(Discard, RefusesASessionInUseAndNamesItsHolder) {
  RunningMount mount(mountpoint_, mountOptions({"-C", server_->httpAddress()}));
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  const std::string holder = "in use by process " + std::to_string(mount.process().pid());
  for (const Arguments& command :
       {Arguments{"discard", "--yes", session_}, Arguments{"upload", session_},
        Arguments{"mount", "-f", "-L", session_, mountpoint_}}) {
    const ProcessResult result = runNetcow(command);
    EXPECT_EQ(result.exitStatus, 1) << command[0];
    EXPECT_THAT(result.output, HasSubstr(holder)) << command[0];
  }
  EXPECT_EQ(mount.unmount().exitStatus, 0);
}

TEST_F(Discard, RefusesAFolderThatIsNoSession) {
  for (const std::string& folder : {images_, temporary_ / "missing"}) {
    const ProcessResult result = runNetcow({"discard", "--yes", folder});
    EXPECT_EQ(result.exitStatus, 1);
    EXPECT_THAT(result.output, HasSubstr("is no session"));
  }
  EXPECT_TRUE(std::filesystem::exists(images_ + "/pc.r1"));
}

TEST_F(Discard, OnExitLeavesNothing) {
  RunningMount mount(mountpoint_, mountOptions({"--discard-on-exit", "--cow-stats-file"}));
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  change(mount.image());
  EXPECT_TRUE(readFile(mount.image()) == content_);
  const ProcessResult result = mount.unmount();
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("is thrown away\n"));
  EXPECT_FALSE(std::filesystem::exists(session_));
}

TEST_F(Discard, OfAnExpiredUploadIsMadeGoodByANewOne) {
  makeSession({"-C", server_->httpAddress()});
  forgetUploads();
  {
    RunningMount mount(mountpoint_, {"-L", session_});
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    change(mount.image());
    const ProcessResult result = mount.unmount();
    EXPECT_EQ(result.exitStatus, 3);
    EXPECT_THAT(result.output, HasSubstr("begin another one with --new-upload"));
  }
  const ProcessResult result = runNetcow({"upload", "-m", "--new-upload", session_});
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  EXPECT_TRUE(readFile(images_ + "/pc.r2") == content_);
}

TEST_F(Discard, OfAnExpiredUploadIsMadeGoodByAMountWithANewOne) {
  makeSession({"-C", server_->httpAddress()});
  forgetUploads();
  RunningMount mount(mountpoint_, {"-L", session_, "--new-upload", "-m"});
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  EXPECT_EQ(mount.unmount().exitStatus, 0);
  EXPECT_TRUE(readFile(images_ + "/pc.r2") == content_);
}

TEST_F(Discard, WhatChangedAfterTheMergeGoesToANewUploadAndIsMergedToo) {
  makeSession({"-C", server_->httpAddress(), "-m"});
  {
    RunningMount mount(mountpoint_, {"-L", session_});
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    change(mount.image());
    const ProcessResult result = mount.unmount();
    EXPECT_EQ(result.exitStatus, 3);
    EXPECT_THAT(result.output, HasSubstr("--new-upload"));
  }
  const ProcessResult result = runNetcow({"upload", "-m", "--new-upload", session_});
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  EXPECT_TRUE(readFile(images_ + "/pc.r3") == content_);
}

TEST_F(Discard, OfAnUploadByAnotherOneSendsEverythingLocalThere) {
  makeSession({"-C", server_->httpAddress()});
  const FakeUploadService other;
  const ProcessResult result =
      runNetcow({"upload", "-C", other.url(), "--upload-uuid", FakeUploadService::kUuid, session_});
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  EXPECT_EQ(other.bodies().size(), 3U);
}

}  // namespace
}  // namespace netcow::test
