// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/request_channel.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <list>
#include <thread>

#include "base/errors.h"
#include "support/fake_clock.h"
#include "support/seeded_random.h"

namespace netcow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RequestChannelTest : public testing::Test {
 protected:
  explicit RequestChannelTest(std::optional<milliseconds> ioTimeout = std::nullopt)
      : channel_(wakeUp_, SilenceWatch(seconds(10), seconds(13)), clock_, ioTimeout) {}
  void attach(int sendBuffer = 0) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    if (sendBuffer != 0) {
      ASSERT_EQ(::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &sendBuffer, sizeof sendBuffer), 0);
    }
    mine_ = std::make_shared<const UniqueFd>(ends[0]);
    theirs_.reset(ends[1]);
    channel_.attach(mine_);
  }
  void read(std::size_t size = 4096) {
    buffers_.emplace_back(size);
    channel_.read(buffers_.back(), 0,
                  [this](std::error_code error) { ++(error ? failed_ : succeeded_); });
  }
  /// Everything that has arrived at the other end.
  std::vector<dnbd3::RequestHeader> arrived() {
    std::vector<dnbd3::RequestHeader> requests(5000);
    const ssize_t got =
        ::recv(theirs_.get(), requests.data(), requests.size() * sizeof requests[0], 0);
    requests.resize(got < 0 ? 0 : static_cast<std::size_t>(got) / sizeof requests[0]);
    return requests;
  }
  [[nodiscard]] bool receiverIsWoken() const {
    pollfd entry = {wakeUp_.fd(), POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
  }
  RequestChannel::Needs needs() { return channel_.needs(clock_.now(), kLimits); }
  RequestChannel::Silence silence() { return channel_.silence(clock_.now(), kLimits); }
  void receive(bool ofBlocks) {
    channel_.beginReceiving(clock_.now());
    channel_.endReceiving(ofBlocks);
  }
  static constexpr RequestChannel::Limits kLimits = {.lateAfter = seconds(1),
                                                     .blockLimit = seconds(13)};
  test::FakeClock clock_;
  WakeUp wakeUp_;
  RequestChannel channel_;
  std::shared_ptr<const UniqueFd> mine_;
  UniqueFd theirs_;
  std::list<std::vector<std::byte>> buffers_;
  int succeeded_ = 0;
  int failed_ = 0;
};

TEST_F(RequestChannelTest, ReadIsSentByItsCallerWithoutWakingTheReceiver) {
  attach();
  read();
  EXPECT_EQ(arrived().size(), 1U);
  EXPECT_FALSE(receiverIsWoken());
}

TEST_F(RequestChannelTest, ReadsOfABatchLeaveTogetherAtItsEnd) {
  attach();
  channel_.beginBatch();
  read();
  read();
  EXPECT_EQ(arrived().size(), 0U);
  channel_.endBatch();
  EXPECT_EQ(arrived().size(), 2U);
  read();
  EXPECT_EQ(arrived().size(), 1U) << "the batch has ended";
}

TEST_F(RequestChannelTest, ReadsOfOtherThreadsAreNotKeptBackForABatchAndTakeItAlong) {
  attach();
  channel_.beginBatch();
  read();
  std::thread([this] { read(); }).join();
  EXPECT_EQ(arrived().size(), 2U);
  channel_.endBatch();
  EXPECT_EQ(arrived().size(), 0U);
}

TEST_F(RequestChannelTest, ALargeReadDoesNotWaitForTheEndOfItsBatch) {
  attach();
  channel_.beginBatch();
  read();
  read(65'536);
  EXPECT_EQ(arrived().size(), 2U);
  channel_.endBatch();
}

TEST_F(RequestChannelTest, AnEndOfABatchThatNeverBeganDoesNoHarm) {
  channel_.endBatch();
  attach();
  channel_.beginBatch();
  channel_.beginBatch();
  channel_.endBatch();
  read();
  EXPECT_EQ(arrived().size(), 1U);
}

TEST_F(RequestChannelTest, ReadsWaitForAConnectionAndThenLeaveTogether) {
  read();
  read();
  EXPECT_EQ(channel_.readCount(), 2U);
  attach();
  EXPECT_EQ(arrived().size(), 2U);
}

TEST_F(RequestChannelTest, PlainMessagesOvertakeQueuedReads) {
  attach();
  for (int i = 0; i < 250; ++i) {
    read();
  }
  EXPECT_EQ(arrived().size(), 200U);
  channel_.sendPlain(dnbd3::Command::keepAlive);
  const auto requests = arrived();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].command, 5);
}

TEST_F(RequestChannelTest, AnswersMakeRoomForWhatIsQueued) {
  attach();
  for (int i = 0; i < 203; ++i) {
    read();
  }
  const auto requests = arrived();
  ASSERT_EQ(requests.size(), 200U);
  for (std::size_t i = 0; i < 3; ++i) {
    channel_.finish(requests[i].handle, {});
  }
  EXPECT_EQ(succeeded_, 3);
  EXPECT_EQ(arrived().size(), 0U) << "answers are handled in batches; so is the sending";
  channel_.sendWaiting();
  EXPECT_EQ(arrived().size(), 3U);
}

TEST_F(RequestChannelTest, FullSocketBlocksNobodyAndLosesNothing) {
  attach(1);
  int queued = 0;
  while (!needs().room) {
    ASSERT_LT(queued, 200);
    read();
    ++queued;
    channel_.sendPlain(dnbd3::Command::keepAlive);
  }
  EXPECT_TRUE(receiverIsWoken());
  std::size_t blocks = 0;
  std::vector<std::byte> stream;
  for (int round = 0; round < 1000; ++round) {
    std::byte part[1000];
    const ssize_t got = ::recv(theirs_.get(), part, sizeof part, 0);
    if (got > 0) {
      stream.insert(stream.end(), part, part + got);
    } else if (!needs().room) {
      break;
    }
    channel_.continueSending();
  }
  ASSERT_EQ(stream.size() % sizeof(dnbd3::RequestHeader), 0U);
  for (std::size_t at = 0; at < stream.size(); at += sizeof(dnbd3::RequestHeader)) {
    dnbd3::RequestHeader request;
    std::memcpy(&request, stream.data() + at, sizeof request);
    ASSERT_EQ(request.magic, 0x7273);
    blocks += request.command == 1 ? 1 : 0;
  }
  EXPECT_EQ(blocks, static_cast<std::size_t>(queued));
}

TEST_F(RequestChannelTest, LostConnectionIsFoundClosedByTheReceiver) {
  attach();
  theirs_.reset();
  read();
  read();
  std::byte ignored;
  EXPECT_EQ(::recv(mine_->get(), &ignored, 1, 0), 0);
  channel_.detach();
  attach();
  EXPECT_EQ(arrived().size(), 2U);
}

TEST_F(RequestChannelTest, WatchesForSilence) {
  attach();
  EXPECT_FALSE(silence().keepAliveDue);
  clock_.advance(seconds(10));
  EXPECT_TRUE(silence().keepAliveDue);
  channel_.sendPlain(dnbd3::Command::keepAlive);
  EXPECT_FALSE(silence().keepAliveDue);
  clock_.advance(seconds(12));
  channel_.sendPlain(dnbd3::Command::keepAlive);
  EXPECT_FALSE(silence().dead);
  clock_.advance(seconds(1));
  EXPECT_TRUE(silence().dead);
  EXPECT_FALSE(silence().late) << "no block is due";
}

TEST_F(RequestChannelTest, ReceivedBytesEndTheSilence) {
  attach();
  read();
  clock_.advance(seconds(9));
  receive(true);
  clock_.advance(seconds(9));
  EXPECT_FALSE(silence().dead);
  clock_.advance(seconds(4));
  EXPECT_TRUE(silence().dead) << "the read is still unanswered";
}

TEST_F(RequestChannelTest, AfterTheEndReadsFailAtOnce) {
  attach();
  read();
  channel_.refuseReads();
  read();
  EXPECT_EQ(failed_, 1);
  channel_.failAll(errnoCode(EIO));
  EXPECT_EQ(failed_, 2);
  EXPECT_EQ(channel_.readCount(), 0U);
}

// --- time limits ---------------------------------------------------------------------------

TEST_F(RequestChannelTest, IsLateWhenNoPartOfABlockComes) {
  attach();
  read();
  clock_.advance(milliseconds(999));
  receive(false);
  EXPECT_FALSE(silence().late);
  EXPECT_EQ(needs().checkAt, clock_.now() + milliseconds(1));
  clock_.advance(milliseconds(1));
  EXPECT_TRUE(silence().late);
  EXPECT_FALSE(silence().withholds);
  EXPECT_GT(needs().checkAt, clock_.now()) << "else the receiver would spin";
  receive(true);
  EXPECT_FALSE(silence().late);
  for (int i = 0; i < 13; ++i) {
    clock_.advance(seconds(1));
    receive(false);
  }
  EXPECT_TRUE(silence().withholds);
  EXPECT_FALSE(silence().dead);
}

TEST_F(RequestChannelTest, ABlockThatIsPassedOverForTooLongIsWithheld) {
  attach();
  read();
  const auto first = arrived();
  for (int i = 0; i < 14; ++i) {
    EXPECT_FALSE(silence().withholds) << i;
    clock_.advance(seconds(1));
    read();
    channel_.finish(arrived().at(0).handle, {});
    receive(true);
  }
  clock_.advance(seconds(1));
  EXPECT_TRUE(silence().withholds);
  channel_.finish(first.at(0).handle, {});
  clock_.advance(seconds(2));
  EXPECT_FALSE(silence().withholds);
}

// A deep queue on a slow link: each block is answered long after it was asked for, in order.
TEST_F(RequestChannelTest, ASlowServerThatAnswersInOrderWithholdsNothing) {
  attach();
  for (int i = 0; i < 200; ++i) {
    read();
  }
  for (const auto& request : arrived()) {
    clock_.advance(milliseconds(900));
    channel_.finish(request.handle, {});
    receive(true);
    read();
    channel_.sendWaiting();
    ASSERT_FALSE(silence().withholds || silence().late);
  }
}

// The receiver keeps the times, but readers do not wake it for each read: wherever it is when a
// read comes, it must look in time.
TEST_F(RequestChannelTest, TheReceiverIsAwakeInTimeForEveryRead) {
  test::SeededRandom random;
  attach();
  needs();
  for (int round = 0; round < 2000; ++round) {
    const Clock::Time checkAt = needs().checkAt;
    clock_.advance(milliseconds(random.between(0, random.oneIn(4) ? 3000 : 300)));
    if (clock_.now() >= checkAt) {
      continue;  // it woke up by itself
    }
    const Clock::Time asked = clock_.now();
    read();
    const bool looksInTime = receiverIsWoken() || checkAt <= asked + kLimits.lateAfter;
    ASSERT_TRUE(looksInTime) << round;
    wakeUp_.clear();
    ASSERT_LE(needs().checkAt, std::max(asked, clock_.now()) + kLimits.lateAfter);
    channel_.finish(arrived().at(0).handle, {});
    receive(true);
  }
}

// --- the round trip ------------------------------------------------------------------------

TEST_F(RequestChannelTest, MeasuresTheRoundTripOfWhatGoesOutAlone) {
  attach();
  EXPECT_EQ(channel_.roundTrip(), std::nullopt);
  read();
  clock_.advance(milliseconds(20));
  channel_.beginReceiving(clock_.now());
  channel_.finish(arrived().at(0).handle, {});
  EXPECT_EQ(channel_.roundTrip(), milliseconds(20));
}

TEST_F(RequestChannelTest, RemembersTheShortestRoundTripOfTheConnection) {
  attach();
  EXPECT_EQ(channel_.shortestRoundTrip(), std::nullopt);
  for (const int wait : {20, 3, 9}) {
    read();
    clock_.advance(milliseconds(wait));
    channel_.beginReceiving(clock_.now());
    channel_.finish(arrived().at(0).handle, {});
  }
  EXPECT_EQ(channel_.shortestRoundTrip(), milliseconds(3));
  channel_.detach();
  EXPECT_EQ(channel_.shortestRoundTrip(), std::nullopt);
}

TEST_F(RequestChannelTest, TheQueueIsNotCountedAsRoundTrip) {
  attach();
  for (int i = 0; i < 200; ++i) {
    read();
  }
  clock_.advance(milliseconds(20));
  for (const auto& request : arrived()) {
    channel_.beginReceiving(clock_.now());
    channel_.finish(request.handle, {});
    clock_.advance(milliseconds(5));
    read();
    channel_.sendWaiting();
  }
  EXPECT_EQ(channel_.roundTrip(), milliseconds(20)) << "the first one had nothing before it";
}

TEST_F(RequestChannelTest, AKeepAliveMeasuresAnIdleConnection) {
  attach();
  channel_.sendPlain(dnbd3::Command::keepAlive);
  clock_.advance(milliseconds(7));
  channel_.beginReceiving(clock_.now());
  EXPECT_TRUE(channel_.takePlainReply(dnbd3::Command::keepAlive));
  EXPECT_EQ(channel_.roundTrip(), milliseconds(7));
}

TEST_F(RequestChannelTest, LargeBlocksMeasureNothing) {
  attach();
  read(200'000);
  clock_.advance(milliseconds(7));
  channel_.beginReceiving(clock_.now());
  channel_.finish(arrived().at(0).handle, {});
  EXPECT_EQ(channel_.roundTrip(), std::nullopt);
}

TEST_F(RequestChannelTest, RepliesThatNobodyAskedForHaveALimit) {
  attach();
  int taken = 0;
  while (channel_.takePlainReply(dnbd3::Command::keepAlive)) {
    ASSERT_LT(++taken, 1000);
  }
  attach();
  for (int i = 0; i < 1000; ++i) {
    channel_.sendPlain(dnbd3::Command::keepAlive);
    ASSERT_EQ(arrived().size(), 1U);
    ASSERT_TRUE(channel_.takePlainReply(dnbd3::Command::keepAlive));
  }
}

// --- reads that expire ---------------------------------------------------------------------

class ExpiringChannelTest : public RequestChannelTest {
 protected:
  ExpiringChannelTest() : RequestChannelTest(seconds(5)) {}
};

TEST_F(ExpiringChannelTest, ReadsCountFromWhenTheyWereAskedConnectedOrNot) {
  read();
  clock_.advance(seconds(3));
  attach();
  read();
  EXPECT_LE(needs().checkAt, clock_.now() + seconds(2));
  clock_.advance(seconds(2) - milliseconds(1));
  EXPECT_FALSE(channel_.expire(clock_.now()));
  clock_.advance(milliseconds(1));
  EXPECT_TRUE(channel_.expire(clock_.now()));
  EXPECT_EQ(failed_, 1);
  EXPECT_LE(needs().checkAt, clock_.now() + seconds(3));
  clock_.advance(seconds(3));
  EXPECT_TRUE(channel_.expire(clock_.now()));
  EXPECT_EQ(failed_, 2);
  EXPECT_EQ(succeeded_, 0);
}

TEST_F(ExpiringChannelTest, WithoutAConnectionTheFirstReadWakesTheReceiver) {
  EXPECT_EQ(needs().checkAt, Clock::Time::max());
  read();
  EXPECT_TRUE(receiverIsWoken());
  EXPECT_EQ(needs().checkAt, clock_.now() + seconds(5));
}

class QuicklyExpiringChannelTest : public RequestChannelTest {
 protected:
  QuicklyExpiringChannelTest() : RequestChannelTest(seconds(2)) {}
};

// What expired may still be due for an answer, and keeps nobody awake.
TEST_F(QuicklyExpiringChannelTest, EveryReadExpiresInTimeWhereverTheReceiverIs) {
  test::SeededRandom random;
  attach();
  int asked = 0;
  std::vector<std::uint64_t> due;
  for (int round = 0; round < 3000; ++round) {
    const Clock::Time checkAt = needs().checkAt;
    const auto step = milliseconds(random.between(0, random.oneIn(3) ? 9000 : 500));
    clock_.advance(std::min<Clock::Time::duration>(step, checkAt - clock_.now()));
    if (random.oneIn(2)) {
      read();
      ++asked;
      // The latest moment at which the receiver looks again.
      const Clock::Time looks = receiverIsWoken() ? clock_.now() : checkAt;
      ASSERT_LE(looks, clock_.now() + seconds(2)) << round;
      wakeUp_.clear();
    }
    channel_.expire(clock_.now());
    for (const auto& request : arrived()) {
      due.push_back(request.handle);
    }
    if (random.oneIn(10)) {
      for (const std::uint64_t handle : std::exchange(due, {})) {
        channel_.finish(handle, {});
      }
      receive(true);
    }
    if (random.oneIn(50)) {
      channel_.detach();
      due.clear();
      attach();
    }
  }
  clock_.advance(seconds(5));
  channel_.expire(clock_.now());
  EXPECT_EQ(succeeded_ + failed_, asked);
  EXPECT_GT(failed_, 10);
}

}  // namespace
}  // namespace netcow
