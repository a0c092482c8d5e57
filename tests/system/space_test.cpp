// SPDX-License-Identifier: Apache-2.0

// What changes take of the local disk: discards give it back, a full disk and --max-local are told
// to the writer and harm nothing.

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "base/unique_fd.h"
#include "format/geometry.h"
#include "support/file_access.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kMegabyte = 1U << 20U;
constexpr std::uint64_t kBaseSize = 96 * kMegabyte;
constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

/// The same text for the same number.
std::string randomText(std::size_t size, unsigned number) {
  std::mt19937_64 engine(number);
  std::string text(size, '\0');
  for (std::size_t at = 0; at + sizeof(std::uint64_t) <= size; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = engine();
    std::memcpy(text.data() + at, &word, sizeof word);
  }
  return text;
}

/// `img` as a block device.
class LoopDevice {
 public:
  LoopDevice(const std::string& file, bool directIo) {
    Arguments command = {"losetup", "--find", "--show", file};
    if (directIo) {
      command.insert(command.end() - 1, "--direct-io=on");
    }
    const ProcessResult result = runProcess(command);
    EXPECT_EQ(result.exitStatus, 0) << result.output;
    path_ = result.output.substr(0, result.output.find('\n'));
  }
  ~LoopDevice() { runProcess({"losetup", "--detach", path_}); }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A mount of an image of zeros with a session in a folder of its own.
class MountSpace : public testing::Test {
 protected:
  MountSpace() {
    std::filesystem::create_directory(small());
    const UniqueFd base(
        ::open((folder_ / "base.r1").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(::ftruncate(base.get(), static_cast<off_t>(kBaseSize)), 0);
  }
  ~MountSpace() override {
    mount_.reset();
    ::umount2(small().c_str(), MNT_DETACH);  // if it is a file system of its own
  }
  void mount(Arguments more) {
    more.insert(more.end(), {"--source", "file://" + (folder_ / "base.r1")});
    mount_ = std::make_unique<RunningMount>(folder_ / "mnt", more);
    ASSERT_TRUE(mount_->mounted()) << mount_->process().output();
  }
  void unmount() {
    const ProcessResult result = mount_->unmount();
    EXPECT_EQ(result.exitStatus, 0) << result.output;
    mount_.reset();
  }
  [[nodiscard]] UniqueFd open(int flags) const {
    return UniqueFd(::open(img().c_str(), flags | O_CLOEXEC));
  }
  [[nodiscard]] std::string img() const { return mount_->image(); }
  [[nodiscard]] std::string small() const { return folder_ / "small"; }
  [[nodiscard]] std::string session() const { return small() + "/session"; }
  /// What `data` takes on the disk.
  [[nodiscard]] std::uint64_t allocated() const {
    return static_cast<std::uint64_t>(attributesOf(session() + "/data").st_blocks) * 512;
  }
  [[nodiscard]] std::uint64_t dirtyClusters() const { return told("dirtyClusters"); }
  [[nodiscard]] std::uint64_t uploads() const { return told("uploads"); }
  [[nodiscard]] std::uint64_t told(const char* key) const {
    const ProcessResult info = runNetcow({"info", "--json", session()});
    return nlohmann::json::parse(info.output).at(key).get<std::uint64_t>();
  }
  /// Writes distinct megabytes from the beginning until one fails; tells how many did not.
  std::uint64_t fillUp(int fd) const {
    std::uint64_t written = 0;
    while (writeAt(fd, randomText(kMegabyte, static_cast<unsigned>(written)),
                   written * kMegabyte) == static_cast<ssize_t>(kMegabyte)) {
      ++written;
    }
    return written;
  }
  void expectMegabytes(int fd, std::uint64_t from, std::uint64_t to) const {
    for (std::uint64_t n = from; n < to; ++n) {
      ASSERT_TRUE(readAt(fd, kMegabyte, n * kMegabyte) ==
                  randomText(kMegabyte, static_cast<unsigned>(n)))
          << n;
    }
  }

  TemporaryDirectory folder_;
  std::unique_ptr<RunningMount> mount_;
};

// --- discard --------------------------------------------------------------------------------

TEST_F(MountSpace, DiscardsOfALoopDeviceGiveSpaceBackInPiecesOfABlock) {
  mount({"-c", session()});
  for (const bool directIo : {false, true}) {
    const LoopDevice loop(img(), directIo);
    {
      const UniqueFd device(::open(loop.path().c_str(), O_RDWR | O_CLOEXEC));
      ASSERT_EQ(writeAt(device.get(), randomText(32 * kMegabyte, 1), 0),
                static_cast<ssize_t>(32 * kMegabyte));
      ASSERT_EQ(::fsync(device.get()), 0);
    }
    ASSERT_GE(allocated(), 32 * kMegabyte);
    const ProcessResult discard = runProcess({"blkdiscard", "--offset", "4096", "--length",
                                              std::to_string(30 * kMegabyte), loop.path()});
    ASSERT_EQ(discard.exitStatus, 0) << discard.output;
    EXPECT_LE(allocated(), 3 * kMegabyte) << "with direct I/O: " << directIo;
    const UniqueFd device(::open(loop.path().c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(readAt(device.get(), kMegabyte, 4096) == std::string(kMegabyte, '\0'));
    EXPECT_TRUE(readAt(device.get(), 4096, 0) == randomText(32 * kMegabyte, 1).substr(0, 4096));
  }
  unmount();
}

/// With an upload server, because without one everything that ever changed stays dirty.
TEST_F(MountSpace, TrimmingAFileSystemGivesSpaceBackAndASecondTimeMakesNothingDirty) {
  std::filesystem::create_directory(folder_ / "images");
  std::filesystem::copy(folder_ / "base.r1", folder_ / "images/disk.r1");
  RunningServer server(folder_ / "images");
  mount_ = std::make_unique<RunningMount>(
      folder_ / "mnt", Arguments{"-h", server.blocksAddress(), "-i", "disk", "-c", session(), "-C",
                                 server.httpAddress(), "--min-age", "0"});
  ASSERT_TRUE(mount_->mounted()) << mount_->process().output();
  const std::string inside = folder_ / "inside";
  std::filesystem::create_directory(inside);
  const LoopDevice loop(img(), true);
  ASSERT_EQ(runProcess({"mkfs.ext4", "-q", "-b", "4096", "-E",
                        "lazy_itable_init=0,lazy_journal_init=0", loop.path()})
                .exitStatus,
            0);
  ASSERT_EQ(::mount(loop.path().c_str(), inside.c_str(), "ext4", 0, nullptr), 0);
  writeFile(inside + "/large", std::vector<std::byte>(40 * kMegabyte, std::byte{'x'}));
  const auto sync = [&inside] { return runProcess({"sync", "--file-system", inside}).exitStatus; };
  ASSERT_EQ(sync(), 0);
  const std::uint64_t full = allocated();
  ASSERT_GE(full, 40 * kMegabyte);
  std::filesystem::remove(inside + "/large");
  ASSERT_EQ(sync(), 0);  // what is not committed yet is not free
  ASSERT_EQ(runProcess({"fstrim", inside}).exitStatus, 0);
  ASSERT_EQ(::umount(inside.c_str()), 0);
  EXPECT_LE(allocated() + 38 * kMegabyte, full);
  // A new mount has forgotten what is trimmed, and tells of 80 MB again. The first one also writes
  // what mkfs has left to it; from then on it is a few blocks of metadata.
  std::uint64_t sent = 0;
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(waitUntil([&] { return dirtyClusters() == 0; })) << "uploaded";
    sent = uploads();
    ASSERT_EQ(::mount(loop.path().c_str(), inside.c_str(), "ext4", 0, nullptr), 0);
    ASSERT_EQ(runProcess({"fstrim", inside}).exitStatus, 0);
    ASSERT_EQ(::umount(inside.c_str()), 0);
  }
  ASSERT_TRUE(waitUntil([&] { return dirtyClusters() == 0; }));
  EXPECT_LE(uploads() - sent, 6U) << "of more than 60 clusters that were trimmed";
}

TEST_F(MountSpace, ASecondDiscardMakesNothingDirty) {
  mount({"-c", session()});
  UniqueFd fd = open(O_RDWR);
  ASSERT_EQ(writeAt(fd.get(), randomText(8 * kMegabyte, 1), 0),
            static_cast<ssize_t>(8 * kMegabyte));
  ASSERT_EQ(::fallocate(fd.get(), kPunch, 0, 8 * kMegabyte), 0);
  ASSERT_EQ(::fsync(fd.get()), 0);
  const timespec before = attributesOf(session() + "/data").st_mtim;
  ASSERT_EQ(::fallocate(fd.get(), kPunch, 0, 8 * kMegabyte), 0);
  const timespec after = attributesOf(session() + "/data").st_mtim;
  EXPECT_TRUE(before.tv_sec == after.tv_sec && before.tv_nsec == after.tv_nsec)
      << "not even touched";
  fd.reset();
  unmount();
}

// --- no space -------------------------------------------------------------------------------

TEST_F(MountSpace, AFullDiskIsToldToTheWriterAndWhenThereIsRoomItGoesOn) {
  ASSERT_EQ(::mount("tmpfs", small().c_str(), "tmpfs", 0, "size=24m"), 0);
  mount({"-c", session()});
  std::uint64_t written = 0;
  {
    const UniqueFd fd = open(O_RDWR);
    written = fillUp(fd.get());
    EXPECT_EQ(errno, ENOSPC);
    ASSERT_GE(written, 15U);
    ASSERT_LT(written, 24U);
    expectMegabytes(fd.get(), 0, written);
    EXPECT_EQ(::fallocate(fd.get(), 0, 40 * kMegabyte, 20 * kMegabyte), -1);
    EXPECT_EQ(errno, ENOSPC);
    ASSERT_EQ(writeAt(fd.get(), randomText(kMegabyte, 0), 0), static_cast<ssize_t>(kMegabyte))
        << "what has its space can be overwritten";
    ASSERT_EQ(::fallocate(fd.get(), kPunch, 0, 6 * kMegabyte), 0);
    ASSERT_EQ(writeAt(fd.get(), randomText(kMegabyte, 1000), 90 * kMegabyte),
              static_cast<ssize_t>(kMegabyte));
    ASSERT_EQ(::fsync(fd.get()), 0);
  }
  unmount();
  mount({"-L", session()});
  {
    const UniqueFd fd = open(O_RDWR);
    EXPECT_TRUE(readAt(fd.get(), 6 * kMegabyte, 0) == std::string(6 * kMegabyte, '\0'));
    expectMegabytes(fd.get(), 6, written);
    EXPECT_TRUE(readAt(fd.get(), kMegabyte, 90 * kMegabyte) == randomText(kMegabyte, 1000));
  }
  unmount();
}

TEST_F(MountSpace, ALimitIsToldToTheWriterAndGoesWithASpaceThatIsGivenBack) {
  constexpr std::uint64_t kLimit = 10 * kMegabyte;
  mount({"-c", session(), "--max-local", "10M"});
  std::uint64_t written = 0;
  {
    const UniqueFd fd = open(O_RDWR | O_DSYNC);
    written = fillUp(fd.get());
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_GE(written, 7U);
    EXPECT_LE(allocated(), kLimit + 4 * kMegabyte) << "a little for writes under way";
    expectMegabytes(fd.get(), 0, written);
    ASSERT_EQ(writeAt(fd.get(), randomText(kMegabyte, 0), 0), static_cast<ssize_t>(kMegabyte));
    ASSERT_EQ(::fallocate(fd.get(), kPunch, 0, 6 * kMegabyte), 0);
    EXPECT_EQ(writeAt(fd.get(), randomText(kMegabyte, 1000), 90 * kMegabyte),
              static_cast<ssize_t>(kMegabyte));
  }
  unmount();
  mount({"-L", session(), "--max-local", "2M"});
  {
    const UniqueFd fd = open(O_RDWR);
    expectMegabytes(fd.get(), 6, written);
    EXPECT_EQ(writeAt(fd.get(), "x", 50 * kMegabyte), -1) << "it takes more already";
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_EQ(writeAt(fd.get(), "x", 90 * kMegabyte), 1);
  }
  unmount();
}

TEST_F(MountSpace, TheMountTellsHowMuchMayStillBeWritten) {
  mount({"-c", session(), "--max-local", "10M"});
  const auto freeBytes = [this] {
    struct statvfs numbers = {};
    EXPECT_EQ(::statvfs(img().c_str(), &numbers), 0);
    return numbers.f_bavail * numbers.f_frsize;
  };
  const std::uint64_t before = freeBytes();
  EXPECT_LE(before, 10 * kMegabyte);
  EXPECT_GE(before, 9 * kMegabyte);
  ASSERT_EQ(writeAt(open(O_RDWR).get(), randomText(4 * kMegabyte, 1), 0),
            static_cast<ssize_t>(4 * kMegabyte));
  EXPECT_LE(freeBytes(), before - 4 * kMegabyte);
}

/// Holes are neither counted as blocks nor copied.
TEST_F(MountSpace, ACopyOfTheImageKeepsItsHoles) {
  mount({"-c", session()});
  {
    const UniqueFd fd = open(O_RDWR);
    ASSERT_EQ(::fallocate(fd.get(), kPunch, 0, kBaseSize), 0);
    ASSERT_EQ(writeAt(fd.get(), randomText(kMegabyte, 7), 50 * kMegabyte),
              static_cast<ssize_t>(kMegabyte));
  }
  EXPECT_LE(attributesOf(img()).st_blocks * 512, static_cast<off_t>(2 * kMegabyte));
  const std::string copy = folder_ / "copy";
  ASSERT_EQ(runProcess({"cp", img(), copy}).exitStatus, 0);
  EXPECT_EQ(sizeOf(copy), static_cast<off_t>(kBaseSize));
  EXPECT_LE(attributesOf(copy).st_blocks * 512, static_cast<off_t>(2 * kMegabyte));
  const UniqueFd fd(::open(copy.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(readAt(fd.get(), kMegabyte, 50 * kMegabyte) == randomText(kMegabyte, 7));
  unmount();
}

}  // namespace
}  // namespace netcow::test
