// SPDX-License-Identifier: Apache-2.0
// Opening, reading, writing and closing `img`, and what happens when things go wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "filesystem_fixture.h"

namespace netcow {
namespace {

using test::Answer;
using test::FilesystemTest;
using test::kBaseSize;
using test::pattern;

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

/// The kernel sends no fsync for a write past the cache, and tells of RWF_DSYNC by the flags of the
/// request alone. O_DIRECT may have been added to a cached open.
TEST_F(FilesystemTest, FlushesASingleDirectWriteThatMustBeDurable) {
  for (fuse_file_info info : {openDirect(), openCached()}) {
    info.flags = O_RDWR | O_DIRECT;
    EXPECT_EQ(write("x", 0, info).count, 1U);
    EXPECT_TRUE(session_->needsCheckpoint());
    info.flags |= O_DSYNC;
    EXPECT_EQ(write("x", 0, info).count, 1U);
    EXPECT_FALSE(session_->needsCheckpoint());
  }
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

}  // namespace
}  // namespace netcow
