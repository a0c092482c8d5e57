// SPDX-License-Identifier: Apache-2.0
//
// File systems made and used on the mounted file, through a loop device as users do it. Their own
// checkers judge: after clean unmounts and in the merged image they must be sound, after a kill
// they must mount with nothing but a replay of their log, and hold every file that was synced.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include "base/unique_fd.h"
#include "system/block_file_system.h"
#include "system/file_tree.h"
#include "system/loop_device.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

/// The smallest that mkfs.xfs takes is 300 MiB. Sparse all the way.
constexpr off_t kImageSize = off_t{320} << 20U;

class FileSystems : public testing::TestWithParam<FileSystemKind> {
 protected:
  void SetUp() override {
    if (const std::string why = GetParam().missing(); !why.empty()) {
      GTEST_SKIP() << why;
    }
    std::filesystem::create_directories(images_);
    const UniqueFd base(
        ::open((images_ + "/disk.r1").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(base.get(), kImageSize), 0);
    server_ = std::make_unique<RunningServer>(images_);
  }

  std::unique_ptr<RunningMount> mount(const Arguments& session) {
    Arguments all = {"-h", server_->blocksAddress()};
    all.insert(all.end(), session.begin(), session.end());
    auto mount = std::make_unique<RunningMount>(temporary_ / "mnt", all);
    EXPECT_TRUE(mount->mounted()) << mount->process().output();
    return mount;
  }
  Arguments newSession(const std::string& name) const {
    return {"-i", "disk", "-c", temporary_ / name, "-C", server_->httpAddress(), "-m"};
  }
  /// A loop device of a VM's kind or of mount -o loop.
  Arguments loopOptions() { return random_.oneIn(2) ? Arguments{"--direct-io=on"} : Arguments{}; }
  /// Changes files and gives space back.
  void use(const LoopDevice& disk, FileTree& tree) {
    MountedFileSystem files(GetParam(), disk.path(), inside_);
    tree.change(files / "tree", 250);
    trim(files.folder());
    tree.change(files / "tree", 50);
    tree.expectIn(files / "tree");
    files.unmount();
    GetParam().checkOn(disk.path());
  }
  void trim(const std::string& folder) const {
    const ProcessResult result = runProcess({"fstrim", folder});
    EXPECT_EQ(result.exitStatus, 0) << result.output;
  }
  void expectInRevision(int revision, const FileTree& tree) {
    const std::string path = images_ + "/disk.r" + std::to_string(revision);
    ASSERT_TRUE(waitUntil([&path] { return std::filesystem::exists(path); })) << path;
    const LoopDevice disk(path, {"--read-only"});
    GetParam().checkOn(disk.path());
    const MountedFileSystem files(GetParam(), disk.path(), inside_, "ro");
    tree.expectIn(files / "tree");
  }

  SeededRandom random_;
  TemporaryDirectory temporary_;
  const std::string images_ = temporary_ / "images";
  const std::string inside_ = temporary_ / "inside";
  std::unique_ptr<RunningServer> server_;
};

TEST_P(FileSystems, AreSoundAfterACleanUnmountAndInTheMergedImage) {
  FileTree tree(random_);
  for (int revision = 2; revision <= 3; ++revision) {
    SCOPED_TRACE("revision " + std::to_string(revision));
    const auto mounted = mount(newSession("session" + std::to_string(revision)));
    ASSERT_TRUE(mounted->mounted());
    {
      const LoopDevice disk(mounted->image(), loopOptions());
      if (revision == 2) {
        ASSERT_NO_FATAL_FAILURE(GetParam().makeOn(disk.path()));
      }
      use(disk, tree);
    }
    const ProcessResult result = mounted->unmount();
    ASSERT_EQ(result.exitStatus, 0) << result.output;
    expectInRevision(revision, tree);
  }
}

TEST_P(FileSystems, ReplayTheirLogAfterAKillAndKeepEverySyncedFile) {
  const int kills = std::getenv("NETCOW_LONG") != nullptr ? 40 : 3;
  const std::string session = temporary_ / "session";
  SyncedFiles synced;
  for (int kill = 0; kill <= kills && !HasFailure(); ++kill) {
    SCOPED_TRACE("kill " + std::to_string(kill));
    const auto mounted = mount(kill == 0 ? newSession("session") : Arguments{"-L", session, "-m"});
    ASSERT_TRUE(mounted->mounted());
    LoopDevice disk(mounted->image(), loopOptions());
    if (kill == 0) {
      ASSERT_NO_FATAL_FAILURE(GetParam().makeOn(disk.path()));
    } else {
      {
        MountedFileSystem files(GetParam(), disk.path(), inside_);
        synced.expectIn(files.folder());
        files.unmount();
      }
      GetParam().checkOn(disk.path());
    }
    if (kill == kills) {
      disk.detach();
      const ProcessResult result = mounted->unmount();
      ASSERT_EQ(result.exitStatus, 0) << result.output;
      break;
    }
    MountedFileSystem files(GetParam(), disk.path(), inside_);
    std::thread writer([&synced, folder = files.folder(), random = random_.fork()] {
      synced.writeUntilError(folder, random);
    });
    synced.waitForMore(random_.between(2, 30));
    mounted->process().signal(SIGKILL);
    mounted->wait();
    writer.join();
    files.giveUp();
    disk.detach();
  }
  std::cout << "kills: " << kills << std::endl;
  const LoopDevice disk(images_ + "/disk.r2", {"--read-only"});
  GetParam().checkOn(disk.path());
  const MountedFileSystem files(GetParam(), disk.path(), inside_, "ro");
  synced.expectIn(files.folder());
}

INSTANTIATE_TEST_SUITE_P(Kinds, FileSystems,
                         testing::Values(FileSystemKind::ext4(), FileSystemKind::xfs(),
                                         FileSystemKind::btrfs()),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace netcow::test
