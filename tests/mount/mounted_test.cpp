// SPDX-License-Identifier: Apache-2.0

// Real mounts: what programs see of `img`, through the kernel.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <future>
#include <iterator>
#include <thread>
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

class MountTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::access("/dev/fuse", R_OK | W_OK) != 0) {
      GTEST_SKIP() << "needs /dev/fuse";
    }
  }
};

TEST_F(MountTest, ReadsTheBaseAndKeepsWhatIsWritten) {
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDWR);
  ASSERT_TRUE(fd);
  EXPECT_EQ(readAt(fd.get(), 10'000, 3'000), patternText(3'000, 10'000));
  EXPECT_EQ(writeAt(fd.get(), "some words", 5'000), 10);
  EXPECT_EQ(readAt(fd.get(), 12, 4'999),
            patternText(4'999, 1) + "some words" + patternText(5'010, 1));
}

TEST_F(MountTest, TakesRequestsOfAMegabyte) {
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDWR | O_DIRECT);
  ASSERT_TRUE(fd);
  const AlignedBytes bytes(4U << 20U, 'm');
  ASSERT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), 8192),
            static_cast<ssize_t>(bytes.size()));
  const AlignedBytes back(bytes.size());
  ASSERT_EQ(::pread(fd.get(), back.data(), back.size(), 8192), static_cast<ssize_t>(back.size()));
  EXPECT_EQ(back.text(), bytes.text());
}

/// The source keeps back what is asked for in a batch until the batch ends.
TEST_F(MountTest, AnswersEveryReadOfManyAtATime) {
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDWR | O_DIRECT);
  ASSERT_TRUE(fd);
  const auto size = static_cast<std::size_t>(sizeOf(mounted.img()));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (std::size_t reader = 0; reader < 16; ++reader) {
    readers.emplace_back([&, reader] {
      const AlignedBytes bytes(kBlock);
      for (std::size_t i = 0; i < 300; ++i) {
        const std::size_t offset = (reader * 7 + i * 13) * kBlock % (size / kBlock * kBlock);
        const bool read = ::pread(fd.get(), bytes.data(), kBlock, static_cast<off_t>(offset)) ==
                          static_cast<ssize_t>(kBlock);
        wrong += read && bytes.text() == patternText(offset, kBlock) ? 0 : 1;
      }
    });
  }
  for (std::thread& reader : readers) {
    reader.join();
  }
  EXPECT_EQ(wrong, 0);
}

TEST_F(MountTest, ShowsModesAndOwner) {
  MountedImage mounted({});
  struct stat attributes = {};
  ASSERT_EQ(::stat(mounted.img().c_str(), &attributes), 0);
  EXPECT_EQ(attributes.st_mode, S_IFREG | 0660U);
  EXPECT_EQ(attributes.st_uid, ::getuid());
  ASSERT_EQ(::stat(mounted.mountpoint().c_str(), &attributes), 0);
  EXPECT_EQ(attributes.st_mode, S_IFDIR | 0770U);
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(mounted.mountpoint())) {
    names.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("img", "status"));
}

TEST_F(MountTest, ShowsTheStatus) {
  MountedImage mounted({});
  std::ifstream file(mounted.mountpoint() + "/status");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(text, "Image:    test\nRevision: 1\n");
}

TEST_F(MountTest, CountsSpaceInBlocksOf4096) {
  MountedImage mounted({});
  struct statvfs numbers = {};
  ASSERT_EQ(::statvfs(mounted.mountpoint().c_str(), &numbers), 0);
  EXPECT_EQ(numbers.f_bsize, 4096U);
}

TEST_F(MountTest, CutsAndGrows) {
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDWR);
  EXPECT_EQ(readAt(fd.get(), kBlock, 0), patternText(0, kBlock));
  ASSERT_EQ(::ftruncate(fd.get(), 100), 0);
  EXPECT_EQ(sizeOf(mounted.img()), 100);
  ASSERT_EQ(::truncate(mounted.img().c_str(), 200), 0);
  EXPECT_EQ(readAt(fd.get(), kBlock, 0), patternText(0, 100) + std::string(100, '\0'));
  EXPECT_EQ(writeAt(fd.get(), "end", 10'000), 3);
  EXPECT_EQ(sizeOf(mounted.img()), 10'003);
}

TEST_F(MountTest, IsEmptiedByOpeningItWithTruncation) {
  MountedImage mounted({});
  const UniqueFd reader = mounted.open(O_RDONLY);
  EXPECT_EQ(readAt(reader.get(), 5, 0), patternText(0, 5));
  const UniqueFd fd = mounted.open(O_WRONLY | O_TRUNC);
  ASSERT_TRUE(fd);
  EXPECT_EQ(sizeOf(mounted.img()), 0);
  EXPECT_EQ(mounted.image().size(), 0U);
  EXPECT_EQ(readAt(reader.get(), 5, 0), "");
}

TEST_F(MountTest, RefusesModeOwnerAndTimesAtOnce) {
  MountedImage mounted({});
  EXPECT_EQ(::chmod(mounted.img().c_str(), 0600), -1);
  EXPECT_EQ(errno, EACCES);
  EXPECT_EQ(::chown(mounted.img().c_str(), 1, 1), -1);
  EXPECT_EQ(errno, EACCES);
  EXPECT_EQ(::utimes(mounted.img().c_str(), nullptr), -1);
  EXPECT_EQ(errno, EACCES);
}

TEST_F(MountTest, AnswersAtOnceWhatItCannotDo) {
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDWR);
  EXPECT_EQ(::fallocate(fd.get(), FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
  EXPECT_EQ(::open((mounted.mountpoint() + "/new").c_str(), O_CREAT | O_WRONLY, 0600), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::unlink(mounted.img().c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::rename(mounted.img().c_str(), (mounted.mountpoint() + "/new").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::link(mounted.img().c_str(), (mounted.mountpoint() + "/new").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST_F(MountTest, CannotBeWrittenWithoutASession) {
  MountedImage mounted({.writable = false});
  EXPECT_FALSE(mounted.open(O_RDWR));
  EXPECT_EQ(errno, EROFS);
  const UniqueFd fd = mounted.open(O_RDONLY);
  EXPECT_EQ(readAt(fd.get(), 100, 0), patternText(0, 100));
  EXPECT_EQ(::truncate(mounted.img().c_str(), 0), -1);
  EXPECT_EQ(errno, EROFS);
}

TEST_F(MountTest, FsyncReachesTheSession) {
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDWR);
  ASSERT_EQ(writeAt(fd.get(), "x", 0), 1);
  EXPECT_TRUE(mounted.session().needsCheckpoint());
  EXPECT_EQ(::fsync(fd.get()), 0);
  EXPECT_FALSE(mounted.session().needsCheckpoint());
}

TEST_F(MountTest, WritesThatMustBeDurableReachTheSession) {
  MountedImage mounted({});
  for (const int flags : {O_SYNC, O_DSYNC, O_SYNC | O_DIRECT, O_DSYNC | O_DIRECT}) {
    const UniqueFd fd = mounted.open(O_RDWR | flags);
    const AlignedBytes bytes(kBlock, 'd');
    ASSERT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(kBlock));
    EXPECT_FALSE(mounted.session().needsCheckpoint()) << flags;
  }
}

TEST_F(MountTest, ASingleWriteThatMustBeDurableReachesTheSession) {
  MountedImage mounted({});
  for (const int flags : {0, O_DIRECT}) {
    const UniqueFd fd = mounted.open(O_RDWR | flags);
    const AlignedBytes bytes(kBlock, 'd');
    const iovec part = {bytes.data(), bytes.size()};
    ASSERT_EQ(::pwritev2(fd.get(), &part, 1, 0, 0), static_cast<ssize_t>(kBlock));
    EXPECT_TRUE(mounted.session().needsCheckpoint());
    ASSERT_EQ(::pwritev2(fd.get(), &part, 1, 0, RWF_DSYNC), static_cast<ssize_t>(kBlock));
    EXPECT_FALSE(mounted.session().needsCheckpoint()) << flags;
  }
}

// --- page cache and direct I/O --------------------------------------------------------------

TEST_F(MountTest, CachedReadersSeeDirectWrites) {
  MountedImage mounted({});
  const UniqueFd cached = mounted.open(O_RDONLY);
  const UniqueFd direct = mounted.open(O_RDWR | O_DIRECT);
  for (char round = 'a'; round <= 'z'; ++round) {
    const AlignedBytes bytes(2 * kBlock, round);
    ASSERT_EQ(::pwrite(direct.get(), bytes.data(), bytes.size(), kBlock),
              static_cast<ssize_t>(bytes.size()));
    ASSERT_EQ(readAt(cached.get(), bytes.size(), kBlock), bytes.text());
  }
}

/// The kernel drops cached pages before an asynchronous direct write, but not those that come back
/// while it is under way.
TEST_F(MountTest, CachedReadersSeeADirectWriteThatTheyOvertook) {
  MountedImage mounted({});
  const UniqueFd cached = mounted.open(O_RDONLY);
  const UniqueFd direct = mounted.open(O_RDWR | O_DIRECT);
  AlignedBytes bytes(kBlock / 8, 'w');  // a part of a block: has to wait for the rest of it
  mounted.source().closeGate();
  auto writer = std::async(
      std::launch::async, [&] { return test::AsynchronousWriter().write(direct.get(), bytes, 0); });
  ASSERT_TRUE(mounted.source().waitForReads(1));
  auto reader = std::async(std::launch::async, [&] { return readAt(cached.get(), kBlock, 0); });
  ASSERT_TRUE(mounted.source().waitForReads(2));
  mounted.source().openGate();
  EXPECT_EQ(writer.get(), static_cast<long>(bytes.size()));
  reader.get();  // old or new: it ran beside the write
  EXPECT_EQ(readAt(cached.get(), bytes.size(), 0), bytes.text());
}

TEST_F(MountTest, DirectReadersSeeCachedWrites) {
  MountedImage mounted({});
  const UniqueFd cached = mounted.open(O_RDWR);
  const UniqueFd direct = mounted.open(O_RDONLY | O_DIRECT);
  const AlignedBytes back(kBlock);
  ASSERT_EQ(writeAt(cached.get(), "cached", 0), 6);
  ASSERT_EQ(::pread(direct.get(), back.data(), back.size(), 0), static_cast<ssize_t>(kBlock));
  EXPECT_EQ(back.text(), "cached" + patternText(6, kBlock - 6));
}

TEST_F(MountTest, LaterCachedOpensSeeDirectWritesThatNobodyWatched) {
  MountedImage mounted({});
  EXPECT_EQ(readAt(mounted.open(O_RDONLY).get(), kBlock, 0), patternText(0, kBlock));
  const AlignedBytes bytes(kBlock, 'n');
  ASSERT_EQ(::pwrite(mounted.open(O_RDWR | O_DIRECT).get(), bytes.data(), bytes.size(), 0),
            static_cast<ssize_t>(kBlock));
  EXPECT_EQ(readAt(mounted.open(O_RDONLY).get(), kBlock, 0), bytes.text());
}

// --- a slow base ----------------------------------------------------------------------------

TEST_F(MountTest, WaitingReadsDoNotHoldUpOthers) {
  constexpr std::size_t kReaders = 12;  // far more than workers
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDWR | O_DIRECT);
  const AlignedBytes local(kBlock, 'l');
  ASSERT_EQ(::pwrite(fd.get(), local.data(), kBlock, 0), static_cast<ssize_t>(kBlock));
  mounted.source().closeGate();
  std::vector<std::future<std::string>> readers;
  for (std::size_t i = 1; i <= kReaders; ++i) {
    readers.push_back(std::async(std::launch::async, [&, i] {
      const AlignedBytes back(kBlock);
      const auto offset = static_cast<off_t>(i * kClusterSize / 2);
      return ::pread(fd.get(), back.data(), kBlock, offset) < 0 ? "" : back.text();
    }));
  }
  ASSERT_TRUE(mounted.source().waitForReads(kReaders));
  const AlignedBytes back(kBlock);
  EXPECT_EQ(::pread(fd.get(), back.data(), kBlock, 0), static_cast<ssize_t>(kBlock));
  EXPECT_EQ(back.text(), local.text());
  EXPECT_EQ(sizeOf(mounted.img()), static_cast<off_t>(8 * kClusterSize));
  EXPECT_EQ(mounted.source().waiting(), kReaders);
  mounted.source().openGate();
  for (std::size_t i = 1; i <= kReaders; ++i) {
    EXPECT_EQ(readers[i - 1].get(), patternText(i * kClusterSize / 2, kBlock));
  }
}

TEST_F(MountTest, ManyWritesWaitForTheirBlocksTogether) {
  constexpr std::size_t kWriters = 64;
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDWR | O_DIRECT);
  mounted.source().closeGate();
  std::vector<std::future<ssize_t>> writers;
  for (std::size_t i = 0; i < kWriters; ++i) {
    writers.push_back(std::async(std::launch::async, [&, i] {
      return writeAt(fd.get(), "writer " + std::to_string(100 + i), 3 * kBlock * i + 77);
    }));
  }
  ASSERT_TRUE(mounted.source().waitForReads(kWriters)) << "all at the same time";
  mounted.source().openGate();
  for (auto& writer : writers) {
    EXPECT_EQ(writer.get(), 10);
  }
  const UniqueFd reader = mounted.open(O_RDONLY);
  for (std::size_t i = 0; i < kWriters; ++i) {
    const std::uint64_t offset = 3 * kBlock * i + 77;
    EXPECT_EQ(readAt(reader.get(), 12, offset - 1), patternText(offset - 1, 1) + "writer " +
                                                        std::to_string(100 + i) +
                                                        patternText(offset + 10, 1));
  }
}

TEST_F(MountTest, AKilledReaderNeedNotWaitForTheServer) {
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDONLY | O_DIRECT);
  const AlignedBytes back(kBlock);
  mounted.source().closeGate();
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(::pread(fd.get(), back.data(), kBlock, 0) < 0 ? 1 : 0);
  }
  ASSERT_TRUE(mounted.source().waitForReads(1));
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);  // hangs if the read is not let go
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(mounted.source().waiting(), 1U);
  mounted.source().openGate();
}

/// The kernel tells of the first signal only.
TEST_F(MountTest, AReaderThatWasSignalledBeforeItWasKilledNeedNotWaitForTheServer) {
  MountedImage mounted({});
  const UniqueFd fd = mounted.open(O_RDONLY | O_DIRECT);
  const AlignedBytes back(kBlock);
  mounted.source().closeGate();
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGUSR1, [](int) {});
    ::_exit(::pread(fd.get(), back.data(), kBlock, 0) < 0 ? 1 : 0);
  }
  ASSERT_TRUE(mounted.source().waitForReads(1));
  ::kill(child, SIGUSR1);
  // The interrupt is on its way before the next request of another process is.
  struct stat attributes = {};
  ASSERT_EQ(::stat(mounted.mountpoint().c_str(), &attributes), 0);
  ASSERT_EQ(::waitpid(child, nullptr, WNOHANG), 0);
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);  // hangs if the read is not let go
  EXPECT_TRUE(WIFSIGNALED(status));
  mounted.source().openGate();
}

// --- what cannot be mounted -----------------------------------------------------------------

class MountErrorTest : public MountTest {
 protected:
  std::string errorOf(const std::string& mountpoint, std::vector<std::string> fuseOptions = {}) {
    test::GatedSource source(kBlock);
    Image image(source, nullptr);
    MountOptions options;
    options.mountpoint = mountpoint;
    options.fuseOptions = std::move(fuseOptions);
    options.statusText = [] { return std::string(); };
    try {
      const Mount mount(image, options);
    } catch (const UserError& error) {
      return error.what();
    }
    return "mounted";
  }
  test::TemporaryDirectory folder_;
};

TEST_F(MountErrorTest, TellsThatTheMountpointIsMissingOrNoFolder) {
  EXPECT_THAT(errorOf(folder_ / "none"), testing::HasSubstr("none does not exist"));
  std::ofstream(folder_ / "file") << "x";
  EXPECT_THAT(errorOf(folder_ / "file"), testing::HasSubstr("file is not a folder"));
}

TEST_F(MountErrorTest, NamesTheOptionThatLibfuseDoesNotKnow) {
  const std::string error = errorOf(folder_.path(), {"ro", "no_such_option"});
  EXPECT_THAT(error, testing::HasSubstr("no_such_option"));
  EXPECT_THAT(error, testing::Not(testing::HasSubstr("\n")));
}

TEST_F(MountErrorTest, MountsAndUnmountsWithoutEverServing) {
  EXPECT_EQ(errorOf(folder_.path(), {"allow_other,max_read=65536,big_writes"}), "mounted");
  EXPECT_EQ(::umount2(folder_.path().c_str(), 0), -1) << "it should not be mounted any more";
}

}  // namespace
}  // namespace netcow
