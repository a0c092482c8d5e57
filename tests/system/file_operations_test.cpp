// SPDX-License-Identifier: Apache-2.0

// What programs may do to `img` beyond reading and writing, and what of it every other program sees
// at once: through the page cache, past it and in memory maps.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/unique_fd.h"
#include "format/geometry.h"
#include "support/file_access.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

constexpr std::size_t kBlock = 4096;
constexpr std::size_t kBaseSize = 8 * kClusterSize;
constexpr auto kEnd = static_cast<off_t>(kBaseSize);
constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

std::string zeros(std::size_t size) {
  std::string text(size, '\0');
  return text;
}

/// A mount over a file with the pattern.
class FileOperations : public testing::Test {
 public:
  [[nodiscard]] UniqueFd open(int flags) const {
    return UniqueFd(::open(img().c_str(), flags | O_CLOEXEC));
  }
  [[nodiscard]] std::string img() const { return mount_->image(); }

 protected:
  FileOperations() {
    std::vector<std::byte> base(kBaseSize);
    for (std::size_t i = 0; i < base.size(); ++i) {
      base[i] = patternByte(i);
    }
    writeFile(folder_ / "base.r1", base);
    mount({"-c", folder_ / "session"});
  }
  void mount(Arguments session) {
    session.insert(session.end(), {"--source", "file://" + (folder_ / "base.r1")});
    mount_ = std::make_unique<RunningMount>(folder_ / "mnt", session);
    EXPECT_TRUE(mount_->mounted()) << mount_->process().output();
  }
  void remount() {
    const ProcessResult result = mount_->unmount();
    EXPECT_EQ(result.exitStatus, 0) << result.output;
    mount_.reset();  // its end would unmount what comes next
    mount({"-L", folder_ / "session"});
  }

 private:
  TemporaryDirectory folder_;
  std::unique_ptr<RunningMount> mount_;
};

/// Everybody who may have an old page of the range: readers through the cache, past it, in a map.
class Watchers {
 public:
  Watchers(FileOperations& mounted, std::size_t size, std::uint64_t offset)
      : cached_(mounted.open(O_RDWR)),
        direct_(mounted.open(O_RDWR | O_DIRECT)),
        map_(cached_.get(), size, offset),
        size_(size),
        offset_(offset) {
    expect(patternText(offset, size));
  }
  void expect(const std::string& content) const {
    const AlignedBytes past(size_);
    ASSERT_EQ(::pread(direct_.get(), past.data(), size_, static_cast<off_t>(offset_)),
              static_cast<ssize_t>(size_));
    EXPECT_TRUE(past.text() == content) << "past the cache";
    EXPECT_TRUE(readAt(cached_.get(), size_, offset_) == content) << "through the cache";
    EXPECT_TRUE(map_.text(size_) == content) << "in the map";
  }
  [[nodiscard]] int cached() const { return cached_.get(); }
  [[nodiscard]] int direct() const { return direct_.get(); }
  [[nodiscard]] const SharedMap& map() const { return map_; }

 private:
  const UniqueFd cached_;
  const UniqueFd direct_;
  const SharedMap map_;
  const std::size_t size_;
  const std::uint64_t offset_;
};

// --- direct I/O -----------------------------------------------------------------------------

TEST_F(FileOperations, DirectAccessMayBeginAtAnySector) {
  constexpr std::size_t kSector = 512;
  const UniqueFd fd = open(O_RDWR | O_DIRECT);
  const AlignedBytes memory(3 * kSector, 's');
  char* const odd = memory.data() + kSector;  // no page border either
  ASSERT_EQ(::pwrite(fd.get(), odd, kSector, 5 * kSector), static_cast<ssize_t>(kSector));
  const AlignedBytes back(8 * kSector);
  ASSERT_EQ(::pread(fd.get(), back.data() + kSector, 3 * kSector, 4 * kSector),
            static_cast<ssize_t>(3 * kSector));
  EXPECT_EQ(back.text().substr(kSector, 3 * kSector), patternText(4 * kSector, kSector) +
                                                          std::string(kSector, 's') +
                                                          patternText(6 * kSector, kSector));
}

// --- fallocate ------------------------------------------------------------------------------

TEST_F(FileOperations, EverybodySeesAPunchedHole) {
  const std::uint64_t offset = kClusterSize - 4 * kBlock;
  const Watchers watchers(*this, 8 * kBlock, offset);
  ASSERT_EQ(::fallocate(watchers.cached(), kPunch, static_cast<off_t>(offset) + 100, 2 * kBlock),
            0);
  const std::string holed = patternText(offset, 100) + zeros(2 * kBlock) +
                            patternText(offset + 100 + 2 * kBlock, 8 * kBlock - 100 - 2 * kBlock);
  watchers.expect(holed);
  ASSERT_EQ(::fallocate(watchers.direct(), kPunch, static_cast<off_t>(offset), 8 * kBlock), 0);
  watchers.expect(zeros(8 * kBlock));
}

TEST_F(FileOperations, EverybodySeesAZeroedRange) {
  const Watchers watchers(*this, 4 * kBlock, 0);
  ASSERT_EQ(::fallocate(watchers.direct(), FALLOC_FL_ZERO_RANGE, 10, 20), 0);
  watchers.expect(patternText(0, 10) + zeros(20) + patternText(30, 4 * kBlock - 30));
  ASSERT_EQ(::fallocate(watchers.cached(), FALLOC_FL_ZERO_RANGE, 10, 4 * kBlock - 10), 0);
  watchers.expect(patternText(0, 10) + zeros(4 * kBlock - 10));
}

TEST_F(FileOperations, NobodySeesContentChangeWhenARangeIsReserved) {
  const Watchers watchers(*this, 4 * kBlock, kClusterSize);
  ASSERT_EQ(writeAt(watchers.cached(), "written", kClusterSize), 7);
  ASSERT_EQ(::fallocate(watchers.direct(), 0, 0, 2 * kClusterSize), 0);
  ASSERT_EQ(::fallocate(watchers.cached(), FALLOC_FL_KEEP_SIZE, 0, 2 * kClusterSize), 0);
  watchers.expect("written" + patternText(kClusterSize + 7, 4 * kBlock - 7));
  EXPECT_EQ(sizeOf(img()), kEnd);
}

TEST_F(FileOperations, GrowingByFallocateShowsTheNewSizeAtOnce) {
  const UniqueFd cached = open(O_RDWR);
  const UniqueFd direct = open(O_RDWR | O_DIRECT);
  auto size = kEnd;
  for (const int mode : {0, FALLOC_FL_ZERO_RANGE}) {
    for (const int fd : {cached.get(), direct.get()}) {
      ASSERT_EQ(readAt(cached.get(), kBlock, static_cast<std::uint64_t>(size)), "") << "the end";
      size += 5000;
      ASSERT_EQ(::fallocate(fd, mode, size - 5000, 5000), 0);
      EXPECT_EQ(sizeOf(img()), size);
      EXPECT_EQ(::lseek(cached.get(), 0, SEEK_END), size);
      EXPECT_EQ(::lseek(direct.get(), 0, SEEK_END), size);
      EXPECT_EQ(readAt(cached.get(), kBlock, static_cast<std::uint64_t>(size) - 5000),
                zeros(kBlock));
      ASSERT_EQ(::fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, size, 5000), 0);
      EXPECT_EQ(sizeOf(img()), size);
    }
  }
}

TEST_F(FileOperations, EachWayToAllocateShowsANewTime) {
  const UniqueFd fd = open(O_RDWR);
  timespec before = attributesOf(img()).st_mtim;
  for (const int mode : {kPunch, FALLOC_FL_ZERO_RANGE, 0}) {
    timespec after = before;
    // The clock of file times ticks every few milliseconds.
    while (after.tv_sec == before.tv_sec && after.tv_nsec == before.tv_nsec) {
      ASSERT_EQ(::fallocate(fd.get(), mode, 0, kBlock), 0);
      after = attributesOf(img()).st_mtim;
    }
    before = after;
  }
}

TEST_F(FileOperations, AHoleTakesMappedChangesAlongAndKeepsLaterOnes) {
  const Watchers watchers(*this, 2 * kBlock, 0);
  watchers.map().put("before", 10);
  ASSERT_EQ(::fallocate(watchers.direct(), kPunch, 0, 2 * kBlock), 0);
  watchers.expect(zeros(2 * kBlock));
  watchers.map().put("after", kBlock);
  ASSERT_EQ(watchers.map().sync(), 0);
  watchers.expect(zeros(kBlock) + "after" + zeros(kBlock - 5));
}

TEST_F(FileOperations, AllocatingBeyondTheLimitOrByAReaderIsRefused) {
  const UniqueFd writer = open(O_RDWR);
  const UniqueFd reader = open(O_RDONLY);
  EXPECT_EQ(::fallocate(reader.get(), kPunch, 0, kBlock), -1);
  EXPECT_EQ(errno, EBADF);
  for (const int mode : {0, FALLOC_FL_ZERO_RANGE}) {
    EXPECT_EQ(::fallocate(writer.get(), mode, 0, kDefaultMaxImageSize + 1), -1);
    EXPECT_EQ(errno, EFBIG);
  }
  EXPECT_EQ(::ftruncate(writer.get(), kDefaultMaxImageSize + 1), -1);
  EXPECT_EQ(errno, EFBIG);
  EXPECT_EQ(writeAt(writer.get(), "x", kDefaultMaxImageSize), -1);
  EXPECT_EQ(errno, EFBIG);
  EXPECT_EQ(sizeOf(img()), kEnd);
}

// --- holes ----------------------------------------------------------------------------------

TEST_F(FileOperations, SeekingFindsDataAndHoles) {
  const UniqueFd fd = open(O_RDWR | O_DIRECT);
  const auto end = kEnd;
  EXPECT_EQ(::lseek(fd.get(), 5, SEEK_DATA), 5);
  EXPECT_EQ(::lseek(fd.get(), 5, SEEK_HOLE), end);
  ASSERT_EQ(::fallocate(fd.get(), kPunch, 0, kClusterSize), 0);
  ASSERT_EQ(::ftruncate(fd.get(), 2 * end), 0);
  EXPECT_EQ(::lseek(fd.get(), 5, SEEK_DATA), static_cast<off_t>(kClusterSize));
  EXPECT_EQ(::lseek(fd.get(), 5, SEEK_HOLE), 5);
  EXPECT_EQ(::lseek(fd.get(), kClusterSize, SEEK_HOLE), end);
  EXPECT_EQ(::lseek(fd.get(), end, SEEK_DATA), -1);
  EXPECT_EQ(errno, ENXIO);
  EXPECT_EQ(::lseek(fd.get(), 2 * end, SEEK_HOLE), -1);
  EXPECT_EQ(errno, ENXIO);
}

/// The kernel does not write them back before it asks for holes.
TEST_F(FileOperations, SeekingFindsChangesThatOnlyAMapHasSoFar) {
  const UniqueFd fd = open(O_RDWR);
  ASSERT_EQ(::fallocate(fd.get(), kPunch, 0, 4 * kClusterSize), 0);
  ASSERT_EQ(::lseek(fd.get(), 0, SEEK_DATA), static_cast<off_t>(4 * kClusterSize));
  const SharedMap map(fd.get(), 4 * kClusterSize);
  map.put("first", kClusterSize + 5000);
  const auto page = static_cast<off_t>(kClusterSize + kBlock);
  EXPECT_EQ(::lseek(open(O_RDONLY).get(), 0, SEEK_DATA), page);
  map.put("second", kClusterSize + 9000);
  map.put("third", 2 * kClusterSize);
  EXPECT_EQ(::lseek(fd.get(), page, SEEK_HOLE), page + 2 * static_cast<off_t>(kBlock));
  EXPECT_EQ(::lseek(fd.get(), page + 2 * static_cast<off_t>(kBlock), SEEK_DATA),
            static_cast<off_t>(2 * kClusterSize));
  EXPECT_EQ(map.text(6, kClusterSize + 9000), "second");
}

// --- memory maps ----------------------------------------------------------------------------

TEST_F(FileOperations, MappedChangesReachEverybody) {
  const Watchers watchers(*this, 4 * kBlock, 4 * kBlock);
  watchers.map().put("mapped", 4090);
  ASSERT_EQ(watchers.map().sync(), 0);
  watchers.expect(patternText(4 * kBlock, 4090) + "mapped" +
                  patternText(4 * kBlock + 4096, 3 * kBlock));
}

TEST_F(FileOperations, MapsSeeWritesOfBothKinds) {
  const Watchers watchers(*this, 2 * kBlock, 0);
  ASSERT_EQ(writeAt(watchers.cached(), "cached", 100), 6);
  EXPECT_EQ(watchers.map().text(6, 100), "cached");
  const AlignedBytes direct(kBlock, 'd');
  ASSERT_EQ(::pwrite(watchers.direct(), direct.data(), kBlock, kBlock),
            static_cast<ssize_t>(kBlock));
  EXPECT_EQ(watchers.map().text(kBlock, kBlock), direct.text());
}

/// Whether reading through a map kills a child process with SIGBUS.
bool readingIsFatal(const char* memory) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGBUS, SIG_DFL);
    ::_exit(*static_cast<const volatile char*>(memory));
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;
}

TEST_F(FileOperations, TruncatingAndGrowingUnderAMapNeverBringsOldContentBack) {
  const UniqueFd fd = open(O_RDWR);
  const SharedMap map(fd.get(), 8 * kBlock);
  map.put("old", 3 * kBlock);
  EXPECT_EQ(map.text(kBlock, 4 * kBlock), patternText(4 * kBlock, kBlock));
  ASSERT_EQ(::ftruncate(fd.get(), kBlock + 100), 0);
  EXPECT_EQ(map.text(kBlock, kBlock), patternText(kBlock, 100) + zeros(kBlock - 100));
  EXPECT_TRUE(readingIsFatal(map.data() + 3 * kBlock));
  ASSERT_EQ(::ftruncate(fd.get(), 8 * kBlock), 0);
  EXPECT_EQ(map.text(7 * kBlock, kBlock), patternText(kBlock, 100) + zeros(7 * kBlock - 100));
  map.put("new", 3 * kBlock);
  ASSERT_EQ(map.sync(), 0);
  const AlignedBytes past(kBlock);
  ASSERT_EQ(::pread(open(O_RDONLY | O_DIRECT).get(), past.data(), kBlock, 3 * kBlock),
            static_cast<ssize_t>(kBlock));
  EXPECT_EQ(past.text(), "new" + zeros(kBlock - 3));
}

TEST_F(FileOperations, AMapOutlivesItsDescriptorAndIsWrittenBackWhenItGoes) {
  {
    UniqueFd fd = open(O_RDWR);
    const SharedMap map(fd.get(), kBlock);
    fd.reset();
    map.put("late", 0);
  }
  EXPECT_EQ(readAt(open(O_RDONLY).get(), 4, 0), "late");
}

TEST_F(FileOperations, MappedChangesAreThereAfterANewMount) {
  {
    const UniqueFd fd = open(O_RDWR);
    const SharedMap map(fd.get(), 2 * kBlock, kClusterSize);
    map.put("mapped", kBlock - 3);
  }
  remount();
  EXPECT_EQ(readAt(open(O_RDONLY).get(), 2 * kBlock, kClusterSize),
            patternText(kClusterSize, kBlock - 3) + "mapped" +
                patternText(kClusterSize + kBlock + 3, kBlock - 3));
}

TEST_F(FileOperations, HolesAndSizesAreThereAfterANewMount) {
  {
    const UniqueFd fd = open(O_RDWR);
    ASSERT_EQ(::fallocate(fd.get(), kPunch, 100, kClusterSize), 0);
    ASSERT_EQ(::fallocate(fd.get(), 0, kEnd, 5000), 0);
  }
  remount();
  EXPECT_EQ(sizeOf(img()), kEnd + 5000);
  const UniqueFd fd = open(O_RDONLY);
  EXPECT_EQ(::lseek(fd.get(), kBlock, SEEK_DATA), static_cast<off_t>(kClusterSize));
  EXPECT_EQ(readAt(fd.get(), kClusterSize + 200, 0),
            patternText(0, 100) + zeros(kClusterSize) + patternText(kClusterSize + 100, 100));
  EXPECT_EQ(readAt(fd.get(), 5000, kBaseSize), zeros(5000));
}

TEST_F(FileOperations, SharedMapsNeedTheCache) {
  const UniqueFd direct = open(O_RDWR | O_DIRECT);
  EXPECT_EQ(::mmap(nullptr, kBlock, PROT_READ, MAP_SHARED, direct.get(), 0), MAP_FAILED);
  EXPECT_EQ(errno, ENODEV);
}

// --- copying inside -------------------------------------------------------------------------

/// The kernel copies by itself when it is told that there is no such operation.
class CopyInside : public FileOperations, public testing::WithParamInterface<int> {};

TEST_P(CopyInside, CopiesWhatEverybodySees) {
  const int flags = GetParam();
  const Watchers watchers(*this, 4 * kBlock, 4 * kClusterSize);
  const UniqueFd from = open(O_RDONLY | flags);
  const UniqueFd to = open(O_RDWR | flags);
  ASSERT_EQ(writeAt(watchers.cached(), "fresh", 2 * kBlock), 5);
  watchers.map().put("mapped", 0);
  off_t source = 2 * kBlock - 512;
  off_t target = 4 * kClusterSize + 512;
  constexpr std::size_t kLength = 3 * kBlock;
  for (std::size_t left = kLength; left > 0;) {
    const ssize_t copied = ::copy_file_range(from.get(), &source, to.get(), &target, left, 0);
    ASSERT_GT(copied, 0) << std::strerror(errno);
    left -= static_cast<std::size_t>(copied);
  }
  const std::uint64_t behind = 4 * kClusterSize + 512 + kLength;
  watchers.expect("mapped" + patternText(4 * kClusterSize + 6, 506) +
                  patternText(2 * kBlock - 512, 512) + "fresh" +
                  patternText(2 * kBlock + 5, kLength - 517) + patternText(behind, kBlock - 512));
}

INSTANTIATE_TEST_SUITE_P(CachedAndDirect, CopyInside, testing::Values(0, O_DIRECT));

TEST_F(FileOperations, CopiesWithinOneDescriptorUnlessTheRangesOverlap) {
  const UniqueFd fd = open(O_RDWR);
  off_t source = 0;
  off_t target = kClusterSize;
  ASSERT_EQ(::copy_file_range(fd.get(), &source, fd.get(), &target, 10'000, 0), 10'000);
  EXPECT_EQ(readAt(fd.get(), 10'001, kClusterSize),
            patternText(0, 10'000) + patternText(kClusterSize + 10'000, 1));
  source = 0;
  target = 100;
  EXPECT_EQ(::copy_file_range(fd.get(), &source, fd.get(), &target, 200, 0), -1);
  EXPECT_EQ(errno, EINVAL);
}

}  // namespace
}  // namespace netcow::test
