// SPDX-License-Identifier: Apache-2.0
//
// The session's folder on the file systems that people have: what a kill leaves, what a discard
// gives back, and what happens when the disk is full.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "base/unique_fd.h"
#include "system/block_file_system.h"
#include "system/kill_rig.h"
#include "system/loop_device.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20U;

void makeSparse(const std::string& path, std::uint64_t bytes) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0) << path;
}

class SessionOn : public testing::TestWithParam<FileSystemKind> {
 protected:
  void SetUp() override {
    if (const std::string why = GetParam().missing(); !why.empty()) {
      GTEST_SKIP() << why;
    }
    makeSparse(temporary_ / "disk", 320 * kMebibyte);
    disk_ = std::make_unique<LoopDevice>(temporary_ / "disk");
    ASSERT_NO_FATAL_FAILURE(GetParam().makeOn(disk_->path()));
    files_ = std::make_unique<MountedFileSystem>(GetParam(), disk_->path(), temporary_ / "files");
    makeSparse(base_, kImageSize);
  }
  /// The file system below must be as sound as what stands on it.
  void TearDown() override {
    if (files_) {
      files_->unmount();
      GetParam().checkOn(disk_->path());
    }
  }

  std::unique_ptr<RunningMount> mount(const std::string& how) {
    return std::make_unique<RunningMount>(temporary_ / "mnt",
                                          Arguments{how, session(), "--source", "file://" + base_});
  }
  std::string session() const { return *files_ / "session"; }

  static constexpr std::uint64_t kImageSize = 64 * kMebibyte;
  SeededRandom random_;
  TemporaryDirectory temporary_;
  const std::string base_ = temporary_ / "disk.r1";
  std::unique_ptr<LoopDevice> disk_;
  std::unique_ptr<MountedFileSystem> files_;
};

TEST_P(SessionOn, LosesNothingWhenTheMountIsKilled) {
  KillCounts counts;
  KillRig rig(random_, KillRig::Uploads::none, counts, files_->folder());
  for (int round = 0; round < 3 && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    ASSERT_NO_FATAL_FAILURE(rig.mountAndCheck());
    rig.killUnderLoad();
    rig.killInRecovery(random_.between(1, 25));
  }
  ASSERT_NO_FATAL_FAILURE(rig.mountAndCheck());
  rig.unmount();
  rig.expectMergesOffline();
  std::cout << "kills: " << counts << std::endl;
}

std::uint64_t allocatedBytes(const std::string& path) {
  struct stat status{};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

TEST_P(SessionOn, GetsTheSpaceBackThatADiscardFreed) {
  auto mounted = mount("-c");
  ASSERT_TRUE(mounted->mounted()) << mounted->process().output();
  const std::vector<std::byte> content = random_.bytes(24 * kMebibyte);
  UniqueFd image(::open(mounted->image().c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::pwrite(image.get(), content.data(), content.size(), 0),
            static_cast<ssize_t>(content.size()));
  ASSERT_EQ(::fsync(image.get()), 0);
  EXPECT_GE(allocatedBytes(session() + "/data"), content.size());
  ASSERT_EQ(::fallocate(image.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kMebibyte,
                        static_cast<off_t>(content.size())),
            0)
      << std::strerror(errno);
  ASSERT_EQ(::fsync(image.get()), 0);
  EXPECT_LE(allocatedBytes(session() + "/data"), 2 * kMebibyte);
  image.reset();
  EXPECT_EQ(mounted->unmount().exitStatus, 0);
  mounted.reset();
  mounted = mount("-L");
  ASSERT_TRUE(mounted->mounted()) << mounted->process().output();
  std::vector<std::byte> expected(kImageSize);
  std::copy_n(content.begin(), kMebibyte, expected.begin());
  EXPECT_TRUE(readFile(mounted->image()) == expected);
  EXPECT_EQ(mounted->unmount().exitStatus, 0);
}

/// A disk with room for a few megabytes more, and a writer that does not care.
class SessionOnAFullDisk : public SessionOn {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(SessionOn::SetUp());
    if (IsSkipped()) {
      return;
    }
    mount_ = mount("-c");
    ASSERT_TRUE(mount_->mounted()) << mount_->process().output();
    open();
  }
  void open() {
    image_.reset(::open(mount_->image().c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(image_);
  }
  /// What other programs have put on the disk.
  [[nodiscard]] std::string ballast() const { return *files_ / "ballast"; }
  void leaveRoomFor(std::uint64_t bytes) {
    struct statvfs room{};
    ASSERT_EQ(::statvfs(files_->folder().c_str(), &room), 0);
    const std::uint64_t free = room.f_bavail * room.f_frsize;
    ASSERT_GT(free, bytes);
    const UniqueFd fd(::open(ballast().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::posix_fallocate(fd.get(), 0, static_cast<off_t>(free - bytes)), 0);
  }
  /// 0, or the errno of the write.
  int write(std::uint64_t offset, std::uint64_t length) {
    std::vector<std::byte> bytes(length);
    fillStamps(bytes, offset, 1, ++operation_);
    const auto ticket = oracle_.begin(offset, bytes);
    const ssize_t put =
        ::pwrite(image_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    const int error = put < 0 ? errno : 0;
    if (put == static_cast<ssize_t>(length)) {
      oracle_.acknowledge(*ticket);
    } else {
      oracle_.giveUp(*ticket);
    }
    return error;
  }
  /// Where the first write failed. The writes are odd, so that all paths meet a full disk.
  std::uint64_t writeUntilFull() {
    std::uint64_t offset = 0;
    while (offset + 2 * kPiece < kImageSize) {
      if (const int error = write(offset, random_.between(kPiece / 2, kPiece))) {
        EXPECT_EQ(error, ENOSPC) << std::strerror(error);
        return offset;
      }
      offset += kPiece;
    }
    ADD_FAILURE() << "the disk is not full";
    return offset;
  }
  void expectAllIsThere() {
    std::vector<std::byte> bytes(kImageSize);
    ASSERT_EQ(::pread(image_.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(kImageSize));
    EXPECT_EQ(oracle_.observe(0, bytes), "");
  }

  static constexpr std::uint64_t kPiece = 48'000;
  SectorOracle oracle_{{{0, kImageSize}}, kImageSize, [](std::uint64_t, std::span<std::byte>) {}};
  std::uint64_t operation_ = 0;
  std::unique_ptr<RunningMount> mount_;
  UniqueFd image_;
};

TEST_P(SessionOnAFullDisk, TellsTheWriterAndGoesOnWhenThereIsRoom) {
  ASSERT_NO_FATAL_FAILURE(leaveRoomFor(8 * kMebibyte));
  const std::uint64_t full = writeUntilFull();
  expectAllIsThere();
  std::filesystem::remove(ballast());
  // Writes and syncs work again, without a new start.
  EXPECT_TRUE(waitUntil([&] { return write(full, kPiece) == 0; }));
  EXPECT_EQ(write(full + 10 * kPiece, 20 * kPiece), 0);
  EXPECT_EQ(::fsync(image_.get()), 0) << std::strerror(errno);
  expectAllIsThere();
  image_.reset();
  const ProcessResult result = mount_->unmount();
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  mount_.reset();
  mount_ = mount("-L");
  ASSERT_TRUE(mount_->mounted()) << mount_->process().output();
  ASSERT_NO_FATAL_FAILURE(open());
  expectAllIsThere();
  image_.reset();
  EXPECT_EQ(mount_->unmount().exitStatus, 0);
}

TEST_P(SessionOnAFullDisk, LosesNothingWhenKilledThere) {
  ASSERT_NO_FATAL_FAILURE(leaveRoomFor(8 * kMebibyte));
  const std::uint64_t full = writeUntilFull();
  static_cast<void>(::fsync(image_.get()));  // whatever it says, what was acknowledged stays
  mount_->process().signal(SIGKILL);
  mount_->wait();
  image_.reset();
  mount_.reset();
  oracle_.crash();
  // Recovering needs a little room. Without it that is said, and nothing is lost by the attempt.
  mount_ = mount("-L");
  if (!mount_->mounted()) {
    const ProcessResult result = mount_->wait();
    EXPECT_EQ(result.exitStatus, 1);
    EXPECT_NE(result.output.find("No space left"), std::string::npos) << result.output;
    std::cout << "a full disk: " << result.output;
    mount_.reset();
    std::filesystem::remove(ballast());
    mount_ = mount("-L");
  }
  ASSERT_TRUE(mount_->mounted()) << mount_->process().output();
  ASSERT_NO_FATAL_FAILURE(open());
  expectAllIsThere();
  std::filesystem::remove(ballast());
  EXPECT_TRUE(waitUntil([&] { return write(full, kPiece) == 0; }));
  EXPECT_EQ(::fsync(image_.get()), 0) << std::strerror(errno);
  expectAllIsThere();
  image_.reset();
  const ProcessResult result = mount_->unmount();
  EXPECT_EQ(result.exitStatus, 0) << result.output;
}

const auto kKinds =
    testing::Values(FileSystemKind::ext4(), FileSystemKind::xfs(), FileSystemKind::btrfs());
const auto kNameOfKind = [](const auto& kind) { return kind.param.name; };
INSTANTIATE_TEST_SUITE_P(Kinds, SessionOn, kKinds, kNameOfKind);
INSTANTIATE_TEST_SUITE_P(Kinds, SessionOnAFullDisk, kKinds, kNameOfKind);

}  // namespace
}  // namespace netcow::test
