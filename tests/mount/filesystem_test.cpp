// SPDX-License-Identifier: Apache-2.0
#include "mount/filesystem.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "base/errors.h"
#include "gated_source.h"
#include "recording_fuse.h"
#include "session/hooked_folder.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::GatedSource;
using test::takeInvalidated;
using test::TemporaryDirectory;
using Answer = fuse_req::Answer;

constexpr std::uint64_t kBaseSize = 3 * kClusterSize + 100;
constexpr std::uint64_t kMaxSize = 100 * kClusterSize;

std::string pattern(std::uint64_t offset, std::size_t length) {
  std::string text(length, '\0');
  for (std::size_t i = 0; i < length; ++i) {
    text[i] = static_cast<char>(test::patternByte(offset + i));
  }
  return text;
}

/// Calls the callbacks as libfuse does, with a recording libfuse below.
class FilesystemTest : public testing::Test {
 protected:
  explicit FilesystemTest(bool writable = true) {
    if (writable) {
      NewSession settings;
      settings.imageName = "test";
      settings.baseSize = kBaseSize;
      settings.maxImageSize = kMaxSize;
      std::filesystem::create_directory(folder_ / "session");
      session_ = Session::create(test::openHookedFolder(folder_ / "session", hook_), settings,
                                 Clock::system());
    }
    image_ = std::make_unique<Image>(source_, session_.get());
    filesystem_ = std::make_unique<Filesystem>(*image_, memory_, ConnectionLimits{}, [this] {
      if (statusThrows_) {
        throw std::runtime_error("no status today");
      }
      return status_;
    });
    takeInvalidated();
  }
  ~FilesystemTest() override {
    source_.stop();
    filesystem_.reset();
  }

  std::unique_ptr<fuse_req> request() { return std::make_unique<fuse_req>(filesystem_.get()); }

  Answer lookup(const char* name) {
    const auto r = request();
    ops_.lookup(r.get(), FUSE_ROOT_ID, name);
    return r->answer();
  }
  Answer getattr(fuse_ino_t inode) {
    const auto r = request();
    ops_.getattr(r.get(), inode, nullptr);
    return r->answer();
  }
  Answer setattr(fuse_ino_t inode, int which, off_t size = 0) {
    const auto r = request();
    struct stat wanted = {};
    wanted.st_size = size;
    ops_.setattr(r.get(), inode, &wanted, which, nullptr);
    return r->answer();
  }
  Answer open(fuse_ino_t inode, int flags, int openResult = 0) {
    const auto r = request();
    r->openResult = openResult;
    fuse_file_info info = {};
    info.flags = flags;
    ops_.open(r.get(), inode, &info);
    return r->answer();
  }
  /// The handle of a new direct open.
  fuse_file_info openDirect(int flags = 0) {
    const Answer answer = open(kImage, O_RDWR | O_DIRECT | flags);
    EXPECT_EQ(answer.bytes.size(), sizeof(fuse_open_out));
    fuse_open_out out = {};
    std::memcpy(&out, answer.bytes.data(), std::min(answer.bytes.size(), sizeof out));
    fuse_file_info info = {};
    info.flags = O_RDWR | O_DIRECT | flags;
    info.fh = out.fh;
    return info;
  }
  /// Closes one descriptor of an open.
  Answer flush(fuse_file_info info) {
    const auto r = request();
    ops_.flush(r.get(), kImage, &info);
    return r->answer();
  }
  Answer allocate(int mode, off_t offset, off_t length, fuse_file_info info) {
    const auto r = request();
    ops_.fallocate(r.get(), kImage, mode, offset, length, &info);
    return r->answer();
  }
  Answer seek(off_t offset, int whence) {
    const auto r = request();
    fuse_file_info info = {};
    ops_.lseek(r.get(), kImage, offset, whence, &info);
    return r->answer();
  }
  fuse_file_info openCached() { return open(kImage, O_RDWR).info; }
  void release(fuse_ino_t inode, fuse_file_info info) {
    const auto r = request();
    ops_.release(r.get(), inode, &info);
    EXPECT_EQ(r->answer().code, 0);
  }

  std::unique_ptr<fuse_req> startRead(std::size_t size, off_t offset) {
    auto r = request();
    fuse_file_info info = {};
    ops_.read(r.get(), kImage, size, offset, &info);
    return r;
  }
  std::unique_ptr<fuse_req> startWrite(const std::string& bytes, off_t offset,
                                       fuse_file_info info) {
    auto r = request();
    ops_.write(r.get(), kImage, bytes.data(), bytes.size(), offset, &info);
    return r;
  }
  Answer read(std::size_t size, off_t offset) { return startRead(size, offset)->answer(); }
  Answer write(const std::string& bytes, off_t offset, fuse_file_info info) {
    return startWrite(bytes, offset, info)->answer();
  }

  static constexpr fuse_ino_t kImage = Filesystem::kImageInode;
  static constexpr fuse_ino_t kStatus = Filesystem::kStatusInode;
  const fuse_lowlevel_ops& ops_ = Filesystem::operations();
  TemporaryDirectory folder_;
  /// Decides which calls of the session's files fail.
  test::FileHook hook_ = [](const test::FileCall&) { return std::error_code{}; };
  GatedSource source_{kBaseSize};
  std::unique_ptr<Session> session_;
  std::unique_ptr<Image> image_;
  RequestMemory memory_;
  std::string status_ = "Image:    test\nRevision: 1\n";
  bool statusThrows_ = false;
  std::unique_ptr<Filesystem> filesystem_;
};

class ReadOnlyFilesystemTest : public FilesystemTest {
 protected:
  ReadOnlyFilesystemTest() : FilesystemTest(false) {}
};

// --- names and attributes -------------------------------------------------------------------

TEST_F(FilesystemTest, ShowsAWritableImageAndAStatusInAPrivateFolder) {
  const Answer root = getattr(FUSE_ROOT_ID);
  EXPECT_EQ(root.stat.st_mode, S_IFDIR | 0770U);
  const Answer img = lookup("img");
  EXPECT_EQ(img.inode, kImage);
  EXPECT_EQ(img.stat.st_mode, S_IFREG | 0660U);
  EXPECT_EQ(img.stat.st_size, static_cast<off_t>(kBaseSize));
  EXPECT_EQ(img.stat.st_uid, ::getuid());
  EXPECT_EQ(img.stat.st_gid, ::getgid());
  const Answer status = lookup("status");
  EXPECT_EQ(status.stat.st_mode, S_IFREG | 0440U);
  EXPECT_EQ(status.stat.st_size, static_cast<off_t>(status_.size()));
  EXPECT_EQ(status.timeout, 0) << "its size changes with its text";
}

TEST_F(ReadOnlyFilesystemTest, ShowsAnImageThatNobodyMayWrite) {
  EXPECT_EQ(getattr(FUSE_ROOT_ID).stat.st_mode, S_IFDIR | 0550U);
  EXPECT_EQ(getattr(kImage).stat.st_mode, S_IFREG | 0440U);
}

TEST_F(FilesystemTest, KnowsNoOtherName) {
  EXPECT_EQ(lookup("image").code, ENOENT);
  EXPECT_EQ(getattr(77).code, ENOENT);
}

TEST_F(FilesystemTest, ListsTheFolderInAsManyPiecesAsAreAskedFor) {
  const auto list = [&](std::size_t size, off_t offset) {
    const auto r = request();
    fuse_file_info info = {};
    ops_.readdir(r.get(), FUSE_ROOT_ID, size, offset, &info);
    return r->answer().bytes;
  };
  EXPECT_EQ(list(4096, 0), ".\n..\nimg\nstatus\n");
  EXPECT_EQ(list(9, 0), ".\n..\nimg\n");
  EXPECT_EQ(list(9, 3), "status\n");
  EXPECT_EQ(list(4096, 4), "");
}

TEST_F(FilesystemTest, RefusesToChangeTheFolder) {
  const auto r = request();
  ops_.unlink(r.get(), FUSE_ROOT_ID, "img");
  EXPECT_EQ(r->answer().code, EPERM);
  const auto create = request();
  fuse_file_info info = {};
  ops_.create(create.get(), FUSE_ROOT_ID, "new", 0600, &info);
  EXPECT_EQ(create->answer().code, EPERM);
}

TEST_F(FilesystemTest, CountsSpaceInBlocksOf4096) {
  const auto r = request();
  ops_.statfs(r.get(), FUSE_ROOT_ID);
  const struct statvfs numbers = r->answer().numbers;
  EXPECT_EQ(numbers.f_bsize, 4096U);
  EXPECT_EQ(numbers.f_frsize, 4096U);
  EXPECT_GT(numbers.f_bavail, 0U);
  EXPECT_EQ(numbers.f_bfree, numbers.f_bavail);
  EXPECT_EQ(numbers.f_blocks - numbers.f_bfree, (kBaseSize + 4095) / 4096);
}

TEST_F(FilesystemTest, CountsAsFreeWhatMayStillBeWritten) {
  session_->limitLocal(10 * kClusterSize);
  const auto freeBytes = [&] {
    const auto r = request();
    ops_.statfs(r.get(), FUSE_ROOT_ID);
    const struct statvfs numbers = r->answer().numbers;
    return numbers.f_bavail * numbers.f_frsize;
  };
  const std::uint64_t before = freeBytes();
  EXPECT_LE(before, 10 * kClusterSize);
  EXPECT_EQ(write(std::string(65'536, 'w'), 0, openDirect()).count, 65'536U);
  EXPECT_LE(freeBytes(), before - 65'536);
}

TEST_F(ReadOnlyFilesystemTest, HasNoFreeSpace) {
  const auto r = request();
  ops_.statfs(r.get(), FUSE_ROOT_ID);
  EXPECT_EQ(r->answer().numbers.f_bavail, 0U);
}

TEST_F(FilesystemTest, CountsDataAndNotHolesAsBlocksOfTheImage) {
  constexpr off_t kSectors = 512;
  const off_t whole = lookup("img").stat.st_blocks;
  EXPECT_GE(whole * kSectors, static_cast<off_t>(kBaseSize));
  EXPECT_EQ(
      allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kClusterSize, openCached()).code, 0);
  const off_t holed = getattr(kImage).stat.st_blocks;
  EXPECT_LE(holed * kSectors, static_cast<off_t>(kBaseSize - kClusterSize + 4 * 4096));
  ASSERT_EQ(setattr(kImage, FUSE_SET_ATTR_SIZE, kMaxSize).kind, Answer::attributes);
  EXPECT_EQ(getattr(kImage).stat.st_blocks, holed) << "growing adds a hole";
}

// --- sizes ----------------------------------------------------------------------------------

TEST_F(FilesystemTest, AppliesASize) {
  const Answer answer = setattr(kImage, FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_MTIME, 12345);
  EXPECT_EQ(answer.kind, Answer::attributes);
  EXPECT_EQ(answer.stat.st_size, 12345);
  EXPECT_EQ(image_->size(), 12345U);
}

TEST_F(FilesystemTest, RefusesModeOwnerAndTimesAtOnce) {
  EXPECT_EQ(setattr(kImage, FUSE_SET_ATTR_MODE).code, EACCES);
  EXPECT_EQ(setattr(kImage, FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID).code, EACCES);
  EXPECT_EQ(setattr(kImage, FUSE_SET_ATTR_MTIME_NOW).code, EACCES);
  EXPECT_EQ(setattr(kStatus, FUSE_SET_ATTR_SIZE).code, EACCES);
  EXPECT_EQ(setattr(FUSE_ROOT_ID, FUSE_SET_ATTR_MODE).code, EACCES);
}

TEST_F(FilesystemTest, DoesNotGrowBeyondTheLargestSize) {
  EXPECT_EQ(setattr(kImage, FUSE_SET_ATTR_SIZE, kMaxSize + 1).code, EFBIG);
  EXPECT_EQ(write("x", kMaxSize, openCached()).code, EFBIG);
  EXPECT_EQ(image_->size(), kBaseSize);
}

TEST_F(FilesystemTest, EmptiesTheImageWhenItIsOpenedToBeTruncated) {
  EXPECT_EQ(open(kImage, O_WRONLY | O_TRUNC).kind, Answer::opened);
  EXPECT_EQ(image_->size(), 0U);
}

TEST_F(ReadOnlyFilesystemTest, RefusesToBeChanged) {
  EXPECT_EQ(open(kImage, O_WRONLY).code, EROFS);
  EXPECT_EQ(open(kImage, O_RDONLY | O_TRUNC).code, EROFS);
  EXPECT_EQ(setattr(kImage, FUSE_SET_ATTR_SIZE, 5).code, EROFS);
  EXPECT_EQ(write("x", 0, open(kImage, O_RDONLY).info).code, EROFS);
  EXPECT_EQ(image_->size(), kBaseSize);
}

// --- reads and writes -----------------------------------------------------------------------

TEST_F(FilesystemTest, ReadsTheBaseAndCutsAtTheEnd) {
  EXPECT_EQ(read(5000, 4000).bytes, pattern(4000, 5000));
  EXPECT_EQ(read(4096, kBaseSize - 10).bytes, pattern(kBaseSize - 10, 10));
  const Answer behind = read(4096, kBaseSize);
  EXPECT_EQ(behind.kind, Answer::data);
  EXPECT_EQ(behind.bytes, "");
}

TEST_F(FilesystemTest, ReadsWhatWasWritten) {
  EXPECT_EQ(write("hello", 4094, openCached()).count, 5U);
  EXPECT_EQ(read(9, 4092).bytes, pattern(4092, 2) + "hello" + pattern(4099, 2));
}

TEST_F(FilesystemTest, AnswersAReadOfTheBaseFromTheThreadThatHasIt) {
  source_.closeGate();
  const auto waiting = startRead(4096, 0);
  ASSERT_TRUE(source_.waitForReads(1));
  EXPECT_EQ(waiting->answers(), 0U) << "the callback came back without the data";
  source_.openGate();
  const Answer answer = waiting->answer();
  EXPECT_EQ(answer.bytes, pattern(0, 4096));
  EXPECT_NE(answer.thread, std::this_thread::get_id());
}

TEST_F(FilesystemTest, ReportsABaseThatCannotBeRead) {
  source_.stop();
  EXPECT_EQ(read(4096, 0).code, EIO);
  EXPECT_EQ(write("part", 4096, openCached()).code, EIO);
}

TEST_F(FilesystemTest, KeepsTheReceiveBufferOfAWriteThatWaits) {
  constexpr std::size_t kHeader = 80;
  constexpr std::size_t kRoom = 4096;
  source_.closeGate();
  fuse_file_info info = openCached();
  const auto waiting = request();
  {
    // As a worker does: the payload lies inside of the buffer it received into.
    auto* memory = static_cast<char*>(std::malloc(kRoom));
    std::memcpy(memory + kHeader, "payload", 7);
    LentBuffer lent(memory_.received().adopt(memory));
    ops_.write(waiting.get(), kImage, memory + kHeader, 7, 10, &info);
    EXPECT_EQ(lent.takeBack(), nullptr) << "the worker must go on with another buffer";
    const PooledMemory next = memory_.received().takeKept();
    EXPECT_EQ(next, nullptr) << "and must not get the same one back meanwhile";
  }
  source_.openGate();
  EXPECT_EQ(waiting->answer().count, 7U);
  EXPECT_EQ(read(8, 9).bytes, pattern(9, 1) + "payload");
}

TEST_F(FilesystemTest, ReusesTheReceiveBufferOfAWriteThatHasEnded) {
  fuse_file_info info = openCached();
  void* const memory = std::malloc(8192);
  {
    LentBuffer lent(memory_.received().adopt(memory));
    const auto r = request();
    ops_.write(r.get(), kImage, static_cast<char*>(memory), 4096, 0, &info);
    EXPECT_EQ(r->answer().count, 4096U);
  }
  EXPECT_EQ(static_cast<void*>(memory_.received().takeKept().get()), memory);
}

TEST_F(FilesystemTest, NewTimesFollowAWrite) {
  const timespec before = getattr(kImage).stat.st_mtim;
  ::usleep(20'000);  // the clock of file times ticks every few milliseconds
  EXPECT_EQ(write("x", 0, openCached()).count, 1U);
  const timespec after = getattr(kImage).stat.st_mtim;
  EXPECT_TRUE(after.tv_sec > before.tv_sec || after.tv_nsec > before.tv_nsec);
}

// --- flushing -------------------------------------------------------------------------------

TEST_F(FilesystemTest, FlushesOnAThreadThatServesNoRequests) {
  EXPECT_EQ(write("x", 0, openCached()).count, 1U);
  EXPECT_TRUE(session_->needsCheckpoint());
  const auto r = request();
  fuse_file_info info = {};
  ops_.fsync(r.get(), kImage, 0, &info);
  const Answer answer = r->answer();
  EXPECT_EQ(answer.kind, Answer::error);
  EXPECT_EQ(answer.code, 0);
  EXPECT_NE(answer.thread, std::this_thread::get_id());
  EXPECT_FALSE(session_->needsCheckpoint());
}

TEST_F(FilesystemTest, FlushesADirectWriteThatMustBeDurable) {
  EXPECT_EQ(write("x", 0, openDirect(O_DSYNC)).count, 1U);
  EXPECT_FALSE(session_->needsCheckpoint());
}

// --- closing --------------------------------------------------------------------------------

TEST_F(FilesystemTest, MakesACheckpointWhenTheLastWriterCloses) {
  const fuse_file_info first = openCached();
  const fuse_file_info second = openDirect();
  EXPECT_EQ(write("x", 0, first).count, 1U);
  EXPECT_EQ(flush(first).code, 0);
  EXPECT_TRUE(session_->needsCheckpoint()) << "another writer is there";
  const Answer last = flush(second);
  EXPECT_EQ(last.code, 0);
  EXPECT_NE(last.thread, std::this_thread::get_id()) << "a sync may block";
  EXPECT_FALSE(session_->needsCheckpoint());
}

TEST_F(FilesystemTest, TellsTheLastWriterWhoClosesThatTheCheckpointFailed) {
  const fuse_file_info writer = openCached();
  EXPECT_EQ(write("x", 0, writer).count, 1U);
  hook_ = [](const test::FileCall& call) {
    return call.file == "meta" ? errnoCode(ENOSPC) : std::error_code{};
  };
  EXPECT_EQ(flush(writer).code, ENOSPC);
  hook_ = [](const test::FileCall&) { return std::error_code{}; };
  EXPECT_EQ(flush(writer).code, 0) << "the next one writes it all again";
  EXPECT_FALSE(session_->needsCheckpoint());
}

/// Both flushes come before either release, so a count of opens would see another writer in each.
TEST_F(FilesystemTest, MakesACheckpointWhenTheLastTwoWritersCloseAtOnce) {
  const fuse_file_info first = openDirect();
  const fuse_file_info second = openDirect();
  EXPECT_EQ(write("x", 0, first).count, 1U);
  flush(first);
  flush(second);
  EXPECT_FALSE(session_->needsCheckpoint());
  release(kImage, first);
  release(kImage, second);
}

TEST_F(FilesystemTest, MakesACheckpointAtEachCloseOfADuplicatedWriter) {
  const fuse_file_info writer = openCached();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(write("x", 0, writer).count, 1U);
    EXPECT_EQ(flush(writer).code, 0);
    EXPECT_FALSE(session_->needsCheckpoint());
  }
}

TEST_F(FilesystemTest, ForgetsWritersThatWereReleased) {
  const fuse_file_info unflushed = openCached();
  release(kImage, unflushed);
  const fuse_file_info writer = openCached();
  EXPECT_EQ(write("x", 0, writer).count, 1U);
  flush(writer);
  EXPECT_FALSE(session_->needsCheckpoint());
}

/// A loop device lets go of its file without closing a descriptor.
TEST_F(FilesystemTest, MakesACheckpointWhenTheLastWriterIsReleased) {
  const fuse_file_info writer = openDirect();
  flush(writer);
  EXPECT_EQ(write("x", 0, writer).count, 1U);
  release(kImage, writer);
  filesystem_->image().stopThreads();  // waits for what they were given
  EXPECT_FALSE(session_->needsCheckpoint());
}

TEST_F(FilesystemTest, WantsNoWordOfReadersThatClose) {
  EXPECT_TRUE(open(kImage, O_RDONLY).info.noflush);
  EXPECT_FALSE(openCached().noflush);
  const fuse_file_info status = open(kStatus, O_RDONLY).info;
  EXPECT_TRUE(status.noflush);
  release(kStatus, status);
  fuse_open_out out = {};
  std::memcpy(&out, open(kImage, O_RDONLY | O_DIRECT).bytes.data(), sizeof out);
  EXPECT_NE(out.open_flags & FOPEN_NOFLUSH, 0U);
  std::memcpy(&out, open(kImage, O_RDWR | O_DIRECT).bytes.data(), sizeof out);
  EXPECT_EQ(out.open_flags & FOPEN_NOFLUSH, 0U);
}

// --- fallocate and lseek --------------------------------------------------------------------

constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

TEST_F(FilesystemTest, PunchesHolesOfAnyLength) {
  EXPECT_EQ(allocate(kPunch, 100, 2 * kClusterSize, openCached()).code, 0);
  EXPECT_EQ(read(8192, 0).bytes, pattern(0, 100) + std::string(8092, '\0'));
  const auto end = static_cast<off_t>(100 + 2 * kClusterSize);
  EXPECT_EQ(read(100, end - 50).bytes,
            std::string(50, '\0') + pattern(static_cast<std::uint64_t>(end), 50));
}

TEST_F(FilesystemTest, ZeroesARangeAndGrowsUnlessToldToKeepTheSize) {
  const auto end = static_cast<off_t>(kBaseSize);
  const fuse_file_info writer = openCached();
  EXPECT_EQ(allocate(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, end - 10, 100, writer).code, 0);
  EXPECT_EQ(image_->size(), kBaseSize);
  EXPECT_EQ(allocate(FALLOC_FL_ZERO_RANGE, end - 20, 100, writer).code, 0);
  EXPECT_EQ(image_->size(), kBaseSize + 80);
  EXPECT_EQ(read(200, end - 30).bytes, pattern(kBaseSize - 30, 10) + std::string(100, '\0'));
}

TEST_F(FilesystemTest, PreallocatesWithoutChangingContent) {
  const auto end = static_cast<off_t>(kBaseSize);
  const fuse_file_info writer = openCached();
  EXPECT_EQ(allocate(FALLOC_FL_KEEP_SIZE, end - 100, 300, writer).code, 0);
  EXPECT_EQ(image_->size(), kBaseSize);
  EXPECT_EQ(allocate(0, end - 100, 300, writer).code, 0);
  EXPECT_EQ(image_->size(), kBaseSize + 200);
  EXPECT_EQ(read(400, end - 100).bytes, pattern(kBaseSize - 100, 100) + std::string(200, '\0'));
}

TEST_F(FilesystemTest, RefusesOtherWaysToAllocate) {
  const fuse_file_info writer = openCached();
  for (const int mode : {FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
                         FALLOC_FL_UNSHARE_RANGE, kPunch | FALLOC_FL_ZERO_RANGE}) {
    EXPECT_EQ(allocate(mode, 0, 4096, writer).code, EOPNOTSUPP) << mode;
  }
  EXPECT_EQ(allocate(kPunch, 0, 4096, open(kImage, O_RDONLY).info).code, EBADF);
  EXPECT_EQ(allocate(0, 0, kMaxSize + 1, writer).code, EFBIG);
  EXPECT_EQ(read(4096, 0).bytes, pattern(0, 4096));
}

TEST_F(FilesystemTest, ZeroesOnAThreadThatServesNoRequestsAndWaitsForNoServer) {
  const fuse_file_info writer = openCached();
  source_.closeGate();
  const auto r = request();
  fuse_file_info info = writer;
  ops_.fallocate(r.get(), kImage, kPunch, 10, 8000, &info);
  ASSERT_TRUE(source_.waitForReads(2)) << "the rest of both blocks at its ends";
  EXPECT_EQ(r->answers(), 0U);
  const auto other = request();
  ops_.fallocate(other.get(), kImage, kPunch, kClusterSize, kClusterSize, &info);
  EXPECT_EQ(other->answer().code, 0) << "the first one holds up nobody";
  EXPECT_NE(other->answer().thread, std::this_thread::get_id());
  source_.openGate();
  EXPECT_EQ(r->answer().code, 0);
}

TEST_F(FilesystemTest, InvalidatesOnlyWhatTheKernelDoesNotWhenARangeIsZeroed) {
  const fuse_file_info writer = openCached();
  EXPECT_EQ(allocate(kPunch, 0, 8192, writer).code, 0);
  EXPECT_TRUE(takeInvalidated().empty()) << "after success the kernel drops the pages itself";
  source_.stop();
  EXPECT_EQ(allocate(kPunch, 8192, 8000, writer).code, EIO) << "the end of it needs the base";
  const auto ranges = takeInvalidated();
  ASSERT_EQ(ranges.size(), 1U) << "but a part of it is zeros now";
  EXPECT_EQ(ranges[0].offset, 8192);
  EXPECT_EQ(ranges[0].length, 8000);
}

TEST_F(FilesystemTest, FlushesWhatMustBeDurableAfterAllocating) {
  for (const int mode : {kPunch, FALLOC_FL_ZERO_RANGE, 0}) {
    EXPECT_EQ(allocate(mode, 0, kClusterSize, openDirect(O_DSYNC)).code, 0);
    EXPECT_FALSE(session_->needsCheckpoint()) << mode;
  }
}

TEST_F(FilesystemTest, FindsDataAndHoles) {
  const auto end = static_cast<off_t>(kBaseSize);
  EXPECT_EQ(seek(7, SEEK_DATA).offset, 7);
  EXPECT_EQ(seek(7, SEEK_HOLE).offset, end);
  EXPECT_EQ(allocate(kPunch, 4096, 8192, openDirect()).code, 0);
  EXPECT_EQ(seek(7, SEEK_HOLE).offset, 4096);
  EXPECT_EQ(seek(5000, SEEK_HOLE).offset, 5000);
  EXPECT_EQ(seek(5000, SEEK_DATA).offset, 12'288);
  EXPECT_EQ(seek(end, SEEK_DATA).code, ENXIO);
  EXPECT_EQ(seek(end, SEEK_HOLE).code, ENXIO);
  EXPECT_EQ(seek(-1, SEEK_HOLE).code, ENXIO);
  EXPECT_EQ(seek(0, SEEK_SET).code, EINVAL);
}

TEST_F(FilesystemTest, FindsDataOfTheStatusWhichHasNoHoles) {
  fuse_file_info info = open(kStatus, O_RDONLY).info;
  const auto seekStatus = [&](off_t offset, int whence) {
    const auto r = request();
    ops_.lseek(r.get(), kStatus, offset, whence, &info);
    return r->answer();
  };
  EXPECT_EQ(seekStatus(3, SEEK_DATA).offset, 3);
  EXPECT_EQ(seekStatus(3, SEEK_HOLE).offset, static_cast<off_t>(status_.size()));
  EXPECT_EQ(seekStatus(static_cast<off_t>(status_.size()), SEEK_DATA).code, ENXIO);
  release(kStatus, info);
}

TEST_F(FilesystemTest, ReliesOnAHoleOnlyAfterMappedChangesWereWrittenBack) {
  EXPECT_EQ(allocate(kPunch, 4096, 8192, openDirect()).code, 0);
  EXPECT_EQ(seek(4096, SEEK_DATA).offset, 12'288);
  EXPECT_TRUE(takeInvalidated().empty()) << "nobody can have mapped it";
  openCached();
  EXPECT_EQ(seek(6000, SEEK_DATA).offset, 12'288);
  EXPECT_EQ(seek(0, SEEK_HOLE).offset, 4096);
  EXPECT_EQ(seek(0, SEEK_DATA).offset, 0);
  const auto ranges = takeInvalidated();
  ASSERT_EQ(ranges.size(), 2U) << "data is never in doubt";
  EXPECT_EQ(ranges[0].offset, 6000);
  EXPECT_EQ(ranges[0].length, 12'288 - 6000);
  EXPECT_EQ(ranges[1].offset, 4096);
  EXPECT_EQ(ranges[1].length, 8192);
  EXPECT_NE(ranges[1].thread, std::this_thread::get_id());
}

// --- page cache -----------------------------------------------------------------------------

TEST_F(FilesystemTest, LetsDirectOpensBypassTheCacheInParallel) {
  const Answer answer = open(kImage, O_RDWR | O_DIRECT);
  ASSERT_EQ(answer.bytes.size(), sizeof(fuse_open_out));
  fuse_open_out out = {};
  std::memcpy(&out, answer.bytes.data(), sizeof out);
  EXPECT_EQ(out.open_flags, FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES | FOPEN_KEEP_CACHE)
      << "what others have cached is theirs";
}

TEST_F(FilesystemTest, KeepsTheCacheBetweenOtherOpens) {
  const fuse_file_info first = openCached();
  EXPECT_TRUE(first.keep_cache);
  EXPECT_FALSE(first.direct_io);
  EXPECT_EQ(write("x", 0, first).count, 1U);
  EXPECT_TRUE(takeInvalidated().empty()) << "a cached write changes the cache itself";
  release(kImage, first);
  EXPECT_TRUE(openCached().keep_cache);
}

TEST_F(FilesystemTest, InvalidatesWhatADirectWriteChangedBeforeAnsweringIt) {
  openCached();
  const auto r = startWrite("direct", 5000, openDirect());
  EXPECT_EQ(r->answer().count, 6U);
  const auto ranges = takeInvalidated();
  ASSERT_EQ(ranges.size(), 1U);
  EXPECT_EQ(ranges[0].inode, kImage);
  EXPECT_EQ(ranges[0].offset, 5000);
  EXPECT_EQ(ranges[0].length, 6);
  EXPECT_NE(ranges[0].thread, std::this_thread::get_id()) << "it may block, a worker must not";
}

TEST_F(FilesystemTest, ForgetsTheCacheWhenDirectWritesCameBetweenCachedOpens) {
  release(kImage, openCached());
  EXPECT_EQ(write("direct", 0, openDirect()).count, 6U);
  EXPECT_TRUE(takeInvalidated().empty());
  EXPECT_FALSE(openCached().keep_cache);
  EXPECT_TRUE(openCached().keep_cache);
}

TEST_F(FilesystemTest, CountsNoOpenWhoseOpenerHasGone) {
  EXPECT_EQ(open(kImage, O_RDWR, -ENOENT).kind, Answer::opened);
  EXPECT_EQ(write("direct", 0, openDirect()).count, 6U);
  EXPECT_TRUE(takeInvalidated().empty()) << "nobody reads through the cache";
}

// --- status ---------------------------------------------------------------------------------

TEST_F(FilesystemTest, ReadsTheStatusAsItWasAtTheOpen) {
  fuse_file_info info = open(kStatus, O_RDONLY).info;
  EXPECT_TRUE(info.direct_io);
  const std::string text = status_;
  status_ = "something shorter";
  const auto readStatus = [&](std::size_t size, off_t offset) {
    const auto r = request();
    ops_.read(r.get(), kStatus, size, offset, &info);
    return r->answer().bytes;
  };
  EXPECT_EQ(readStatus(4096, 0), text);
  EXPECT_EQ(readStatus(5, 10), text.substr(10, 5));
  EXPECT_EQ(readStatus(4096, 4096), "");
  release(kStatus, info);
}

TEST_F(FilesystemTest, RefusesToWriteTheStatus) {
  EXPECT_EQ(open(kStatus, O_WRONLY).code, EACCES);
  EXPECT_EQ(open(kStatus, O_RDONLY | O_TRUNC).code, EACCES);
}

// --- trouble --------------------------------------------------------------------------------

TEST_F(FilesystemTest, AnswersWhenACallbackThrows) {
  statusThrows_ = true;
  EXPECT_EQ(lookup("status").code, EIO);
  EXPECT_EQ(getattr(kStatus).code, EIO);
  EXPECT_EQ(open(kStatus, O_RDONLY).code, EIO);
}

TEST_F(FilesystemTest, AnswersAReadThatIsLargerThanAnyMayBe) {
  ASSERT_EQ(setattr(kImage, FUSE_SET_ATTR_SIZE, 10'000'000).kind, Answer::attributes);
  EXPECT_EQ(read(5'000'000, 0).code, EIO);
}

TEST_F(FilesystemTest, LetsAWaitingReadBeWhenItsProcessGetsAnHarmlessSignal) {
  source_.closeGate();
  const auto waiting = startRead(4096, 0);
  waiting->context.pid = ::getpid();
  ASSERT_TRUE(source_.waitForReads(1));
  waiting->interrupt();
  EXPECT_EQ(waiting->answers(), 0U);
  source_.openGate();
  EXPECT_EQ(waiting->answer().bytes, pattern(0, 4096));
}

TEST_F(FilesystemTest, RefusesNewRequestsAndWaitsForOldOnesAtTheEnd) {
  const fuse_file_info writer = openCached();
  source_.closeGate();
  const auto waiting = startRead(4096, 0);
  ASSERT_TRUE(source_.waitForReads(1));
  EXPECT_FALSE(filesystem_->image().refuseAndDrain(std::chrono::milliseconds(10)));
  EXPECT_EQ(read(4096, 0).code, ENOTCONN);
  EXPECT_EQ(write("x", 0, writer).code, ENOTCONN);
  EXPECT_EQ(allocate(FALLOC_FL_ZERO_RANGE, 0, 4096, writer).code, ENOTCONN);
  source_.openGate();
  EXPECT_TRUE(filesystem_->image().refuseAndDrain(std::chrono::seconds(20)));
  EXPECT_EQ(waiting->answer().bytes, pattern(0, 4096));
}

TEST_F(FilesystemTest, AnswersWhatItsThreadsWereGivenBeforeTheyEnd) {
  openCached();
  const fuse_file_info direct = openDirect();
  const auto r = startWrite("x", 0, direct);
  filesystem_->image().stopThreads();
  EXPECT_EQ(r->answer().count, 1U);
  EXPECT_EQ(write("y", 1, direct).count, 1U) << "later ones go without";
}

// --- connection -----------------------------------------------------------------------------

class ConnectionTest : public testing::Test {
 protected:
  fuse_conn_info initialise(const ConnectionLimits& limits) {
    GatedSource source(kBaseSize);
    Image image(source, nullptr);
    RequestMemory memory;
    Filesystem filesystem(image, memory, limits, [] { return std::string(); });
    fuse_conn_info connection = {};
    connection.capable = capable;
    connection.want = FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ | FUSE_CAP_WRITEBACK_CACHE;
    connection.max_write = 1U << 20U;
    connection.max_readahead = 128U << 10U;
    Filesystem::operations().init(&filesystem, &connection);
    return connection;
  }
  unsigned capable = ~0U;
};

TEST_F(ConnectionTest, AsksForManyLargeParallelRequests) {
  const fuse_conn_info connection = initialise({});
  EXPECT_EQ(connection.max_write, 1U << 20U);
  EXPECT_GE(connection.max_background, 64U);
  EXPECT_EQ(connection.max_readahead, 128U << 10U);
  EXPECT_EQ(connection.max_read, 0U);
  EXPECT_EQ(connection.want, FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS |
                                 FUSE_CAP_ATOMIC_O_TRUNC);
}

TEST_F(ConnectionTest, WantsNothingThatTheKernelCannotDo) {
  capable = FUSE_CAP_ASYNC_READ;
  EXPECT_EQ(initialise({}).want, static_cast<unsigned>(FUSE_CAP_ASYNC_READ));
}

TEST_F(ConnectionTest, AppliesLimitsThatMakeSense) {
  ConnectionLimits limits;
  limits.maxWrite = 65'536;
  limits.maxBackground = 7;
  limits.maxReadahead = 262'144;
  limits.maxRead = 32'768;
  const fuse_conn_info connection = initialise(limits);
  EXPECT_EQ(connection.max_write, 65'536U);
  EXPECT_EQ(connection.max_background, 7U);
  EXPECT_EQ(connection.max_readahead, 131'072U) << "the kernel offers no more";
  EXPECT_EQ(connection.max_read, 32'768U);
  limits.maxWrite = 1;
  EXPECT_EQ(initialise(limits).max_write, 4096U);
}

}  // namespace
}  // namespace netcow
