// SPDX-License-Identifier: Apache-2.0
#include "source/prefetch/prefetch_source.h"

#include <gtest/gtest.h>

#include <array>
#include <list>
#include <thread>

#include "source/prefetch/scripted_source.h"
#include "support/completion_result.h"
#include "support/fake_clock.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20U;
constexpr std::uint64_t kImage = 512 * kMebibyte;
constexpr std::uint64_t kBlock = 4096;

class PrefetchSourceTest : public testing::Test {
 protected:
  struct Read {
    std::vector<std::byte> buffer;
    std::uint64_t offset = 0;
    CompletionResult result;
  };
  void make(PrefetchSource::Options options = {}, ScriptedSource::Script script = {}) {
    auto inner = std::make_unique<ScriptedSource>(kImage, script, random_);
    inner_ = inner.get();
    source_ = std::make_unique<PrefetchSource>(std::move(inner), options, clock_);
  }
  Read& start(std::uint64_t offset, std::uint64_t length) {
    Read& read = reads_.emplace_back();
    read.buffer.resize(length);
    read.offset = offset;
    source_->read(read.buffer, offset, read.result.completion());
    return read;
  }
  static testing::AssertionResult isRight(const Read& read) {
    if (read.result.calls != 1 || read.result.error != 0) {
      return testing::AssertionFailure()
             << read.result.calls << " calls, error " << read.result.error;
    }
    return isContent(read.buffer, read.offset)
               ? testing::AssertionSuccess()
               : testing::AssertionFailure() << "wrong bytes at " << read.offset;
  }
  /// A read that is answered 20 ms later, with everything else that is under way.
  testing::AssertionResult readNow(std::uint64_t offset, std::uint64_t length) {
    const Read& read = start(offset, length);
    if (read.result.calls == 0) {
      clock_.advance(std::chrono::milliseconds(20));
      inner_->answerAll();
    }
    return isRight(read);
  }
  /// Makes a reader of 64 KiB pieces known. Returns where it goes on.
  std::uint64_t makeStream() {
    for (std::uint64_t i = 0; i < 6; ++i) {
      EXPECT_TRUE(readNow(i * 65'536, 65'536));
    }
    return 6 * std::uint64_t{65'536};
  }

  SeededRandom random_;
  FakeClock clock_;
  std::list<Read> reads_;  // must outlive the source, which ends those that are left
  ScriptedSource* inner_ = nullptr;
  std::unique_ptr<PrefetchSource> source_;
};

TEST_F(PrefetchSourceTest, WhatWasReadAheadIsAnsweredAtOnce) {
  make();
  const std::uint64_t next = makeStream();
  inner_->answerAll();
  const Read& read = start(next, kBlock);
  EXPECT_TRUE(isRight(read));
}

TEST_F(PrefetchSourceTest, AReadOfWhatIsUnderWayWaitsForIt) {
  make();
  const std::uint64_t next = makeStream();
  inner_->answerAll();
  std::uint64_t at = next;
  while (start(at, 65'536).result.calls == 1) {
    at += 65'536;
  }
  const std::uint64_t requests = inner_->requests();
  const Read& waiting = reads_.back();
  EXPECT_EQ(waiting.result.calls, 0);
  inner_->answerAll();
  EXPECT_TRUE(isRight(waiting));
  EXPECT_LE(inner_->requests(), requests) << "nothing was asked for twice";
}

TEST_F(PrefetchSourceTest, AReadOfWhatIsPartlyHereIsPutTogether) {
  make();
  const std::uint64_t next = makeStream();
  inner_->answerAll();
  const Read& read = start(next - kBlock, 4 * kMebibyte);
  EXPECT_EQ(read.result.calls, 0);
  inner_->answerAll();
  EXPECT_TRUE(isRight(read));
}

TEST_F(PrefetchSourceTest, OverALongWayAReaderSeldomWaits) {
  make();
  int waited = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const Read& read = start(i * 65'536, 65'536);
    if (read.result.calls == 0) {
      ++waited;
      clock_.advance(std::chrono::milliseconds(20));
      inner_->answerAll();
    }
    ASSERT_TRUE(isRight(read));
  }
  EXPECT_LT(waited, 100) << "of 2000 round trips without reading ahead";
}

TEST_F(PrefetchSourceTest, ReadersBackwardAndInStepsSeldomWaitEither) {
  for (const std::uint64_t step : {kBlock, 16 * kBlock}) {
    make();
    int waited = 0;
    for (std::uint64_t i = 1; i <= 2000; ++i) {
      const Read& read = start(kImage - i * step, kBlock);
      if (read.result.calls == 0) {
        ++waited;
        clock_.advance(std::chrono::milliseconds(20));
        inner_->answerAll();
      }
      ASSERT_TRUE(isRight(read));
    }
    EXPECT_LT(waited, 200) << "step " << step;
    source_->stop();
  }
}

TEST_F(PrefetchSourceTest, LargeReadsOverAShortWayGoStraightToTheSource) {
  make();
  std::uint64_t offset = 0;
  for (int i = 0; i < 200; ++i, offset += kMebibyte) {
    const Read& read = start(offset, kMebibyte);
    clock_.advance(std::chrono::microseconds(50));
    inner_->answerAll();
    ASSERT_TRUE(isRight(read));
  }
  EXPECT_LT(inner_->requests(), 200U + 150U) << "one each, and what measures the way";
}

/// A reader who asks for several large pieces at a time keeps the connection busy: then no answer
/// shows how short the way is.
TEST_F(PrefetchSourceTest, LargeReadsOverAShortBusyWayGoStraightToTheSource) {
  ScriptedSource::Script script;
  script.roundTrip = std::chrono::microseconds(30);
  make({}, script);
  std::uint64_t offset = 0;
  for (int i = 0; i < 200; ++i, offset += kMebibyte) {
    const Read& read = start(offset, kMebibyte);
    clock_.advance(std::chrono::milliseconds(2));
    inner_->answerAll();
    ASSERT_TRUE(isRight(read));
  }
  EXPECT_LT(inner_->requests(), 200U + 150U) << "one each, and what measures the way";
}

TEST_F(PrefetchSourceTest, WhatCouldNotBeReadAheadIsAskedForByTheReader) {
  ScriptedSource::Script script;
  script.failOneIn = 1;
  std::vector<std::byte> own(kMebibyte);
  script.own = own;
  make({}, script);
  for (std::uint64_t i = 0; i < 100; ++i) {
    CompletionResult result;
    source_->read(std::span(own).first(kBlock), i * kBlock, result.completion());
    clock_.advance(std::chrono::milliseconds(20));
    inner_->answerAll();
    ASSERT_EQ(result.calls, 1);
    ASSERT_EQ(result.error, 0);
    ASSERT_TRUE(isContent(std::span(own).first(kBlock), i * kBlock));
  }
}

TEST_F(PrefetchSourceTest, StopEndsWhatWaitsAndEverythingLater) {
  make();
  std::uint64_t next = makeStream();
  inner_->answerAll();
  while (start(next, 65'536).result.calls == 1) {
    next += 65'536;
  }
  const Read& waiting = reads_.back();
  const Read& direct = start(kImage / 2, kBlock);
  source_->stop();
  EXPECT_EQ(waiting.result.calls, 1);
  EXPECT_EQ(waiting.result.error, EIO);
  EXPECT_EQ(direct.result.error, EIO);
  const Read& late = start(0, kBlock);
  EXPECT_EQ(late.result.calls, 1);
  EXPECT_EQ(late.result.error, EIO);
}

TEST_F(PrefetchSourceTest, NeighboursComeAlongWhileTheyAreReadAndElseNot) {
  make();
  for (int i = 0; i < 400; ++i) {
    const std::uint64_t offset = random_.between(0, kImage / 65'536 - 1) * 65'536;
    readNow(offset, kBlock);
    source_->willNeedNear(offset, kBlock);
    inner_->answerAll();
  }
  const std::uint64_t useless = inner_->bytesAsked() - 400 * kBlock;
  EXPECT_LT(useless, 90U * 65'536) << "some are read by chance";

  make();
  int atOnce = 0;
  for (std::uint64_t i = 0; i < 400; ++i) {
    // Two places each neighbourhood, far from each other.
    const std::uint64_t offset = (i / 2 * 7919 % 8000) * 65'536 + (i % 2) * 32'768;
    atOnce += start(offset, kBlock).result.calls;
    inner_->answerAll();
    source_->willNeedNear(offset, kBlock);
    source_->willNeedNear(offset, kBlock);
    inner_->answerAll();
  }
  EXPECT_GT(atOnce, 190);
  EXPECT_LE(inner_->bytesAsked(), 200U * (65'536 + 2 * kBlock)) << "nothing twice";
}

TEST_F(PrefetchSourceTest, ReadsOverTheBorderOfTwoBlocksBringTheNextBlockAndNoMore) {
  make();
  int atOnce = 0;
  for (std::uint64_t i = 0; i < 400; ++i) {
    const std::uint64_t offset = i * 7919 % 8000 * 65'536;
    start(offset, kBlock);
    source_->willNeedNear(offset, kBlock);
    inner_->answerAll();
    atOnce += start(offset + kBlock, kBlock).result.calls;
    source_->willNeedNear(offset + kBlock, kBlock);
    inner_->answerAll();
  }
  EXPECT_GT(atOnce, 390);
  EXPECT_LT(inner_->bytesAsked(), 400U * 3 * kBlock + 60U * 65'536);
}

TEST_F(PrefetchSourceTest, MemoryIsGivenBackWhenNobodyReads) {
  PrefetchSource::Options options;
  options.idle = std::chrono::milliseconds(20);
  make(options);
  makeStream();
  inner_->answerAll();
  EXPECT_GT(source_->memory(), 0U);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (source_->memory() > 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(source_->memory(), 0U);
  EXPECT_TRUE(readNow(0, kBlock));
}

TEST_F(PrefetchSourceTest, OthersNeverWaitBehindMoreThanHalfTheSlots) {
  make({.memory = 256 * kMebibyte, .idle = std::chrono::seconds(10)});
  // Sixteen readers at once, of everything they can have, on the best of ways.
  std::uint64_t asked = 0;
  for (std::uint64_t round = 0; round < 25; ++round) {
    for (std::uint64_t reader = 0; reader < 16; ++reader) {
      start(reader * 32 * kMebibyte + round * 262'144, 262'144);
    }
    const std::uint64_t own = 16;
    ASSERT_LE(inner_->held(), own + LinkEstimate::kMostRequests);
    asked = std::max<std::uint64_t>(asked, inner_->held());
    clock_.advance(std::chrono::milliseconds(50));
    inner_->answerAll();
  }
  EXPECT_GT(asked, 32U);
  for (const Read& read : reads_) {
    ASSERT_TRUE(isRight(read));
  }
}

TEST_F(PrefetchSourceTest, ReadersInStepsLeaveSlotsToOthersToo) {
  make();
  constexpr std::size_t kReaders = 3;
  std::array<const Read*, kReaders> reading{};
  std::array<std::uint64_t, kReaders> steps{};
  std::size_t most = 0;
  for (int round = 0; round < 20'000; ++round) {
    for (std::size_t reader = 0; reader < kReaders; ++reader) {
      if (reading.at(reader) == nullptr || reading.at(reader)->result.calls == 1) {
        const std::uint64_t offset = reader * 160 * kMebibyte + steps.at(reader)++ * 16'384;
        reading.at(reader) = &start(offset, kBlock);
      }
    }
    most = std::max(most, inner_->held());
    ASSERT_LE(inner_->held(), kReaders + LinkEstimate::kMostRequests);
    clock_.advance(std::chrono::microseconds(100));
    inner_->answerOne();  // fewer than they want: they wait, and their windows grow
  }
  EXPECT_GT(most, LinkEstimate::kMostRequests / 2);
}

TEST_F(PrefetchSourceTest, ReadsAtRandomCostNoMoreThanTheyAre) {
  for (const std::uint64_t length : {kBlock, 16 * kBlock}) {
    make();
    std::vector<std::byte> buffer(length);
    constexpr std::uint64_t kReads = 3000;
    for (std::uint64_t i = 0; i < kReads; ++i) {
      CompletionResult result;
      source_->read(buffer, random_.between(0, kImage / length - 1) * length, result.completion());
      inner_->answerAll();
      ASSERT_EQ(result.calls, 1);
    }
    EXPECT_LE(inner_->bytesAsked(), kReads * length * 102 / 100) << length;
    source_->stop();
  }
}

}  // namespace
}  // namespace netcow::test
