// SPDX-License-Identifier: Apache-2.0
// The upload service on a disk that fills up.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/unique_fd.h"
#include "server/http_client.h"
#include "server/upload_content.h"
#include "server/uploads/registry.h"
#include "support/temporary_directory.h"
#include "system/block_file_system.h"
#include "system/loop_device.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20U;
constexpr std::uint64_t kClusterBytes = 1'310'720;
constexpr std::uint64_t kBaseBytes = 4 * kClusterBytes;
constexpr std::uint64_t kReserve = 16 * kMebibyte;  // of a disk as small as this one

class UploadOnAFullDisk : public testing::Test {
 protected:
  void SetUp() override {
    const FileSystemKind& kind = FileSystemKind::ext4();
    if (const std::string why = kind.missing(); !why.empty()) {
      GTEST_SKIP() << why;
    }
    const UniqueFd file(
        ::open((temporary_ / "disk").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(96 * kMebibyte)), 0);
    disk_ = std::make_unique<LoopDevice>(temporary_ / "disk");
    ASSERT_NO_FATAL_FAILURE(kind.makeOn(disk_->path()));
    mounted_ = std::make_unique<MountedFileSystem>(kind, disk_->path(), temporary_ / "images");
    writeFile(*mounted_ / "win.r1", base_);
    server_ = std::make_unique<RunningServer>(temporary_ / "images");
    uuid_ = post("/v1/file/create", "revision=1&bitfieldSize=40&imageName=win").body;
    ASSERT_EQ(uuid_.size(), 36U) << uuid_;
  }
  void TearDown() override {
    if (server_) {
      server_->stop();
    }
    if (mounted_) {
      mounted_->unmount();
      FileSystemKind::ext4().checkOn(disk_->path());
    }
  }

  HttpAnswer post(const std::string& target, const std::string& form) {
    return client().post(target, form);
  }
  HttpClient client() {
    const std::string address = server_->httpAddress();
    return HttpClient(
        static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1))));
  }
  HttpAnswer update(std::uint64_t cluster) {
    std::set<std::uint64_t> all;
    for (std::uint64_t block = 0; block < kTestBlocksPerCluster; ++block) {
      all.insert(block);
    }
    const ClusterContent content = randomCluster(random_, all);
    const HttpAnswer answer =
        client().post("/v1/file/update?uuid=" + uuid_ + "&clusterindex=" + std::to_string(cluster),
                      updateBody(content));
    if (answer.status == 200) {
      sent_[cluster] = content;
    }
    return answer;
  }
  /// Sends new clusters until one is not taken, and returns that answer.
  HttpAnswer fill() {
    for (;;) {
      const HttpAnswer answer = update(sent_.size());
      if (answer.status != 200) {
        return answer;
      }
    }
  }
  HttpAnswer askForMerge() {
    return post("/v1/file/merge", "originalFileSize=" + std::to_string(kBaseBytes) +
                                      "&newFileSize=" + std::to_string(newSize()) +
                                      "&uuid=" + uuid_);
  }
  [[nodiscard]] std::uint64_t newSize() const {
    return std::max<std::uint64_t>(4, sent_.size()) * kClusterBytes;
  }
  nlohmann::json status() {
    return nlohmann::json::parse(client().get("/v1/file/status?uuid=" + uuid_).body);
  }
  std::string state() { return status()["state"]; }
  /// As if the server had accepted a merge and been killed before it did anything for it.
  void killServerWithAnAcceptedMerge() {
    server_->kill();
    Registry registry(*mounted_ / ".netcow/registry.sqlite");
    for (UploadRecord record : registry.load()) {
      record.state = UploadState::merging;
      record.sizes = MergeSizes{kBaseBytes, newSize()};
      registry.save(record);
    }
  }
  std::uint64_t freeBytes() {
    struct statvfs disk = {};
    EXPECT_EQ(::statvfs(mounted_->folder().c_str(), &disk), 0);
    return disk.f_bavail * disk.f_frsize;
  }
  void takeSpace(std::uint64_t bytes) {
    const UniqueFd file(
        ::open((*mounted_ / "filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes)), 0);
  }
  static void expectNoRoom(const HttpAnswer& answer) {
    EXPECT_EQ(answer.status, 507U) << answer.body;
    EXPECT_THAT(answer.header, HasSubstr("Retry-After: 30\r\n"));
  }

  SeededRandom random_;
  TemporaryDirectory temporary_;
  const std::vector<std::byte> base_ = random_.bytes(kBaseBytes);
  std::unique_ptr<LoopDevice> disk_;
  std::unique_ptr<MountedFileSystem> mounted_;
  std::unique_ptr<RunningServer> server_;
  std::string uuid_;
  std::map<std::uint64_t, ClusterContent> sent_;
};

TEST_F(UploadOnAFullDisk, UpdatesAreRefusedBeforeTheDiskIsFullAndGoOnWhenThereIsRoom) {
  expectNoRoom(fill());
  EXPECT_GT(sent_.size(), 10U);
  EXPECT_GE(freeBytes() + kMebibyte / 4, kReserve);
  const std::uint64_t left = freeBytes();
  for (int i = 0; i < 20; ++i) {
    expectNoRoom(update(1'000));
  }
  EXPECT_EQ(freeBytes(), left);
  EXPECT_EQ(state(), "Active");
  server_->kill();
  server_->start();  // there is room for that
  EXPECT_EQ(state(), "Active");

  expectNoRoom(askForMerge());  // the image would be as large as the session
  EXPECT_EQ(state(), "Active");
  EXPECT_FALSE(fs::exists(*mounted_ / "win.r2"));

  EXPECT_EQ(client().get("/v1/file/status?uuid=" + uuid_).status, 200U);
  HttpClient deleting = client();
  deleting.send("DELETE /v1/file/session?uuid=" + uuid_ + " HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(deleting.receive().status, 200U);
  EXPECT_GT(freeBytes(), left + 10 * kClusterBytes);
  sent_.clear();
  uuid_ = post("/v1/file/create", "revision=1&bitfieldSize=40&imageName=win").body;
  EXPECT_EQ(update(2).status, 200U);
  EXPECT_EQ(askForMerge().status, 200U);
  ASSERT_TRUE(waitUntil([&] { return state() != "Merging"; }));
  EXPECT_EQ(state(), "Done");
  EXPECT_TRUE(readFile(*mounted_ / "win.r2") == expectedImage(base_, kBaseBytes, newSize(), sent_));
}

TEST_F(UploadOnAFullDisk, AMergeWithoutRoomIsRefusedAndSucceedsWhenThereIsRoom) {
  EXPECT_EQ(update(0).status, 200U);
  EXPECT_EQ(update(3).status, 200U);
  takeSpace(freeBytes() - kReserve - kBaseBytes / 2);
  expectNoRoom(askForMerge());
  EXPECT_EQ(state(), "Active");
  EXPECT_EQ(update(1).status, 200U);  // which still fits
  fs::remove(*mounted_ / "filler");
  EXPECT_EQ(askForMerge().status, 200U);
  ASSERT_TRUE(waitUntil([&] { return state() != "Merging"; }));
  EXPECT_EQ(state(), "Done");
  EXPECT_TRUE(readFile(*mounted_ / "win.r2") == expectedImage(base_, kBaseBytes, newSize(), sent_));
}

TEST_F(UploadOnAFullDisk, AMergeThatFindsTheDiskFilledMeanwhileSaysSoAndSucceedsWhenThereIsRoom) {
  EXPECT_EQ(update(0).status, 200U);
  EXPECT_EQ(update(3).status, 200U);
  killServerWithAnAcceptedMerge();
  takeSpace(freeBytes() - kMebibyte);
  server_->start();
  ASSERT_TRUE(waitUntil([&] { return state() != "Merging"; }));
  EXPECT_EQ(state(), "Failed");
  EXPECT_THAT(status()["message"].get<std::string>(), HasSubstr("no room"));
  const auto files = fs::directory_iterator(mounted_->folder());
  const auto images = std::count_if(begin(files), end(files), [](const fs::directory_entry& file) {
    return file.is_regular_file();
  });
  EXPECT_EQ(images, 2);  // win.r1 and what fills the disk
  server_->kill();
  server_->start();
  EXPECT_EQ(state(), "Failed");
  fs::remove(*mounted_ / "filler");
  EXPECT_EQ(askForMerge().status, 200U);
  ASSERT_TRUE(waitUntil([&] { return state() != "Merging"; }));
  EXPECT_EQ(state(), "Done");
  EXPECT_TRUE(readFile(*mounted_ / "win.r2") == expectedImage(base_, kBaseBytes, newSize(), sent_));
}

}  // namespace
}  // namespace netcow::test
