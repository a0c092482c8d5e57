// SPDX-License-Identifier: Apache-2.0

// Real mounts: how they end, and what becomes of what programs did.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <future>
#include <iterator>
#include <vector>

#include "base/errors.h"
#include "mount/mount.h"
#include "mounted_image.h"

namespace netcow {
namespace {

using test::AlignedBytes;
using test::MountedImage;
using test::patternText;
using test::readAt;
using test::sizeOf;
using test::writeAt;

constexpr std::size_t kBlock = 4096;

/// A process that has mapped a block and changes it.
class Mapper {
 public:
  explicit Mapper(const MountedImage& mounted) : fd_(mounted.open(O_RDWR)) {
    memory_ = ::mmap(nullptr, kBlock, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    EXPECT_NE(memory_, MAP_FAILED);
    std::memcpy(memory_, "mapped", 6);
  }
  ~Mapper() { ::munmap(memory_, kBlock); }
  Mapper(const Mapper&) = delete;
  Mapper& operator=(const Mapper&) = delete;

 private:
  UniqueFd fd_;
  void* memory_;
};

std::string beginOf(MountedImage& mounted) {
  std::string back(6, ' ');
  mounted.image().read(std::as_writable_bytes(std::span(back)), 0, [](std::error_code) {});
  return back;
}

class MountEndTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::access("/dev/fuse", R_OK | W_OK) != 0) {
      GTEST_SKIP() << "needs /dev/fuse";
    }
  }
};

// --- the end --------------------------------------------------------------------------------

TEST_F(MountEndTest, EndsWhenSomebodyUnmounts) {
  MountedImage mounted({});
  EXPECT_EQ(sizeOf(mounted.img()), static_cast<off_t>(8 * kClusterSize));
  ASSERT_EQ(::umount2(mounted.mountpoint().c_str(), 0), 0);
  mounted.waitForEnd();
}

TEST_F(MountEndTest, StaysWhileItIsInUseThoughItWasDetached) {
  MountedImage mounted({});
  {
    const UniqueFd fd = mounted.open(O_RDWR);
    EXPECT_EQ(::umount2(mounted.mountpoint().c_str(), 0), -1);
    EXPECT_EQ(errno, EBUSY);
    ASSERT_EQ(::umount2(mounted.mountpoint().c_str(), MNT_DETACH), 0);
    EXPECT_EQ(writeAt(fd.get(), "late", 0), 4);
  }
  mounted.waitForEnd();
  std::vector<std::byte> back(4);
  mounted.image().read(back, 0, [](std::error_code) {});
  EXPECT_EQ(std::memcmp(back.data(), "late", 4), 0);
}

TEST_F(MountEndTest, AnswersReadersThatWaitWhenItIsStopped) {
  constexpr std::size_t kReaders = 8;
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDONLY | O_DIRECT);
  const UniqueFd cached = mounted.open(O_RDONLY);
  mounted.source().closeGate();
  std::vector<std::future<int>> readers;
  for (std::size_t i = 0; i < kReaders; ++i) {
    readers.push_back(std::async(std::launch::async, [&, i] {
      const AlignedBytes back(kBlock);
      const int from = i % 2 == 0 ? fd.get() : cached.get();
      const auto offset = static_cast<off_t>(i * kClusterSize);
      return ::pread(from, back.data(), kBlock, offset) < 0 ? errno : 0;
    }));
  }
  ASSERT_TRUE(mounted.source().waitForReads(kReaders));
  mounted.stop();
  for (std::size_t i = 0; i < kReaders; ++i) {
    if (i % 2 == 0) {
      EXPECT_EQ(readers[i].get(), EIO);
    } else {  // the kernel tries again what it had read ahead, and then finds the mount gone
      EXPECT_THAT(readers[i].get(), testing::AnyOf(EIO, ENOTCONN, ECONNABORTED));
    }
  }
}

TEST_F(MountEndTest, LetsRequestsUnderWayEndWhenItIsStopped) {
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDWR | O_DIRECT);
  mounted.source().closeGate();
  auto writer = std::async(std::launch::async, [&] { return writeAt(fd.get(), "last", 99); });
  ASSERT_TRUE(mounted.source().waitForReads(1));
  auto stopping = std::async(std::launch::async, [&] { mounted.stop(); });
  mounted.source().openGate();
  EXPECT_EQ(writer.get(), 4);
  stopping.get();
}

TEST_F(MountEndTest, CollectsMappedChangesWhenItIsStoppedInUse) {
  MountedImage mounted({});
  const Mapper mapper(mounted);
  mounted.stop();
  EXPECT_EQ(beginOf(mounted), "mapped");
}

TEST_F(MountEndTest, CollectsMappedChangesWhenItIsStoppedAfterItWasDetached) {
  MountedImage mounted({});
  const Mapper mapper(mounted);
  ASSERT_EQ(::umount2(mounted.mountpoint().c_str(), MNT_DETACH), 0);
  mounted.stop();
  EXPECT_EQ(beginOf(mounted), "mapped");
}

TEST_F(MountEndTest, WhatWasMountedOverItStaysWhenItIsStopped) {
  MountedImage mounted({});
  const Mapper mapper(mounted);
  const std::string path = mounted.mountpoint();
  ASSERT_EQ(::mount("tmpfs", path.c_str(), "tmpfs", 0, nullptr), 0);
  std::ofstream(path + "/theirs") << "x";
  mounted.stop();
  EXPECT_TRUE(std::filesystem::exists(path + "/theirs"));
  EXPECT_EQ(::umount2(path.c_str(), 0), 0);
  EXPECT_EQ(beginOf(mounted), "mapped");
  EXPECT_EQ(::umount2(path.c_str(), MNT_DETACH), 0) << "the mount below, which lost its program";
}

/// For a forked process, which would keep the connection from ending.
void closeFuseDevice() {
  for (int fd = 3; fd < 1000; ++fd) {
    char target[32] = {};
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(link.c_str(), target, sizeof target - 1) > 0 &&
        std::string_view(target) == "/dev/fuse") {
      ::close(fd);
    }
  }
}

TEST_F(MountEndTest, CollectsChangesMappedInAnotherNamespaceWhenItIsStopped) {
  MountedImage mounted({});
  int ready[2] = {};
  int end[2] = {};
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(end), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(end[1]);
    closeFuseDevice();
    const bool isApart = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    const Mapper mapper(mounted);
    char byte = isApart ? 'y' : 'n';
    static_cast<void>(::write(ready[1], &byte, 1) == 1);
    static_cast<void>(::read(end[0], &byte, 1) == 1);  // until the parent closes its end
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  mounted.stop();
  EXPECT_EQ(beginOf(mounted), "mapped");
  for (const int fd : {ready[0], ready[1], end[0], end[1]}) {
    ::close(fd);
  }
  ::waitpid(child, nullptr, 0);
}

TEST_F(MountEndTest, StopsBeforeAnythingHappened) {
  for (int i = 0; i < 5; ++i) {
    MountedImage mounted({});
    mounted.stop();
    EXPECT_FALSE(std::filesystem::exists(mounted.img()));
  }
}

TEST_F(MountEndTest, StopsUnderLoad) {
  MountedImage mounted({});
  const UniqueFd direct = mounted.open(O_RDWR | O_DIRECT);
  const UniqueFd cached = mounted.open(O_RDWR);
  std::atomic<std::uint64_t> done = 0;
  std::vector<std::future<void>> users;
  for (std::uint64_t user = 0; user < 6; ++user) {
    users.push_back(std::async(std::launch::async, [&, user] {
      const AlignedBytes bytes(kBlock, 'u');
      const int fd = user % 2 == 0 ? direct.get() : cached.get();
      for (std::uint64_t n = user;; n += 7) {
        const auto offset = static_cast<off_t>(n % 2000 * kBlock);
        const ssize_t result = n % 3 == 0 ? ::pread(fd, bytes.data(), kBlock, offset)
                                          : ::pwrite(fd, bytes.data(), kBlock, offset);
        if (result < 0) {
          return;
        }
        ++done;
      }
    }));
  }
  while (done < 2000) {
    std::this_thread::yield();
  }
  mounted.stop();
  for (auto& user : users) {
    user.get();
  }
}

}  // namespace
}  // namespace netcow
