// SPDX-License-Identifier: Apache-2.0
// A mount that is killed at the one moment at which Linux would keep it, and all who wait for it,
// for ever: while it waits for a page of its own that somebody is reading.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <future>
#include <string>

#include "base/unique_fd.h"
#include "base/whole_io.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

namespace fs = std::filesystem;

/// Whether any thread of the process waits for a page, by the function it waits in.
bool waitsForAPage(const std::string& process) {
  std::error_code gone;
  for (const auto& thread : fs::directory_iterator("/proc/" + process + "/task", gone)) {
    try {
      const std::string place = readTextFile(thread.path() / "wchan");
      if (place.find("folio") != std::string::npos || place.find("page") != std::string::npos) {
        return true;
      }
    } catch (const std::exception&) {
      // It has ended meanwhile.
    }
  }
  return false;
}

class MountGuardTest : public testing::Test {
 protected:
  MountGuardTest() {
    fs::create_directories(images_);
    writeFile(images_ + "/net.r1", std::vector<std::byte>(std::size_t{64} << 20U, std::byte{1}));
    server_ = std::make_unique<RunningServer>(images_);
    mount_ = std::make_unique<RunningMount>(
        temporary_ / "mnt",
        Arguments{"-S", "-h", server_->blocksAddress(), "-i", "net", "-c", temporary_ / "session"});
  }
  ~MountGuardTest() override { server_->kill(); }

  UniqueFd openImage() { return UniqueFd(::open(mount_->image().c_str(), O_RDWR | O_CLOEXEC)); }
  /// Lets go of who hangs, so that the test can end.
  void giveUp() const {
    ::umount2(mount_->mountpoint().c_str(), MNT_FORCE);
    ADD_FAILURE() << "somebody hangs in the mount of a killed process";
  }
  void expectEnds(std::future<int>& result) const {
    if (result.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
      giveUp();
    }
    EXPECT_NE(result.get(), 0);
  }

  TemporaryDirectory temporary_;
  const std::string images_ = temporary_ / "images";
  std::unique_ptr<RunningServer> server_;
  std::unique_ptr<RunningMount> mount_;
};

TEST_F(MountGuardTest, NobodyHangsInAMountThatWasKilledWhileItWaitedForAPageOfItsOwn) {
  ASSERT_TRUE(mount_->mounted()) << mount_->wait().output;
  const UniqueFd file = openImage();
  ASSERT_TRUE(file);
  ::kill(server_->process().pid(), SIGSTOP);
  auto reading = std::async(std::launch::async, [&file] {
    std::array<char, 4096> block = {};
    return ::pread(file.get(), block.data(), block.size(), 40 << 20) < 0 ? errno : 0;
  });
  const bool reads = waitUntil([] { return waitsForAPage("self"); });
  // Fails, because it ends behind the largest image; so netcow drops the pages of the range.
  auto zeroing = std::async(std::launch::async, [&file] {
    constexpr off_t kTooMuch = off_t{64} << 40U;
    return ::fallocate(file.get(), FALLOC_FL_ZERO_RANGE, 32 << 20, kTooMuch) != 0 ? errno : 0;
  });
  const std::string process = std::to_string(mount_->process().pid());
  const bool isStuck = waitUntil([&process] { return waitsForAPage(process); });

  mount_->process().signal(SIGKILL);
  expectEnds(reading);
  expectEnds(zeroing);
  EXPECT_TRUE(reads && isStuck) << "the moment did not come";
  EXPECT_EQ(mount_->wait().exitStatus, 128 + SIGKILL);
  // The session is free too.
  EXPECT_EQ(runNetcow({"check", temporary_ / "session"}).exitStatus, 0);
}

TEST_F(MountGuardTest, TheGuardEndsWithTheMount) {
  ASSERT_TRUE(mount_->mounted()) << mount_->wait().output;
  const std::string process = std::to_string(mount_->process().pid());
  const std::string guard = readTextFile("/proc/" + process + "/task/" + process + "/children");
  const std::string folder = "/proc/" + guard.substr(0, guard.find(' '));
  EXPECT_EQ(readTextFile(folder + "/comm"), "netcow-guard\n");
  EXPECT_EQ(mount_->unmount().exitStatus, 0);
  // Somebody may have yet to reap it.
  EXPECT_TRUE(waitUntil([&folder] {
    std::error_code none;
    return !fs::exists(folder, none) || fs::read_symlink(folder + "/exe", none).empty();
  }));
}

}  // namespace
}  // namespace netcow::test
