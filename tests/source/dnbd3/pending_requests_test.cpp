// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/pending_requests.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <map>

#include "base/errors.h"
#include "support/fake_clock.h"
#include "support/seeded_random.h"

namespace netcow {
namespace {

constexpr std::size_t kKib = 1024;

class PendingRequestsTest : public testing::Test {
 protected:
  /// Adds a read that notes in answers_[number] how it was answered.
  void add(int number, std::size_t size, std::uint64_t offset = 0) {
    buffers_[number].resize(size);
    pending_.add(
        buffers_[number], offset,
        [this, number](std::error_code error) { answers_[number] += error ? 1000 : 1; },
        clock_.now());
  }
  std::vector<dnbd3::RequestHeader> take(std::size_t most = 1000) {
    std::vector<dnbd3::RequestHeader> batch(most);
    batch.resize(pending_.takeUnsent(batch, clock_.now()));
    return batch;
  }
  /// Whether it ended a read, whose completion has been called then.
  bool finish(std::uint64_t handle, int error = 0) {
    auto answer = pending_.finish(handle, errnoCode(error));
    if (answer) {
      answer->done(answer->error);
    }
    return answer.has_value();
  }
  static void run(std::vector<PendingRequests::Answer> answers) {
    for (auto& answer : answers) {
      answer.done(answer.error);
    }
  }
  test::FakeClock clock_;
  PendingRequests pending_;
  std::map<int, std::vector<std::byte>> buffers_;
  std::map<int, int> answers_;  // 1: success, 1000: an error, anything else: not exactly once
};

TEST_F(PendingRequestsTest, SmallReadIsOneRequest) {
  add(1, 4096, 40960);
  const auto batch = take();
  ASSERT_EQ(batch.size(), 1U);
  EXPECT_EQ(batch[0].offset(), 40960U);
  EXPECT_EQ(batch[0].size, 4096U);
  EXPECT_EQ(pending_.find(batch[0].handle).data(), buffers_[1].data());
  EXPECT_TRUE(finish(batch[0].handle));
  EXPECT_EQ(answers_[1], 1);
  EXPECT_EQ(pending_.readCount(), 0U);
}

TEST_F(PendingRequestsTest, LargeReadIsCutAndAnsweredOnceWithItsLastPiece) {
  add(1, 600 * kKib, 8192);
  const auto batch = take();
  ASSERT_EQ(batch.size(), 3U);
  EXPECT_EQ(batch[0].size, 256 * kKib);
  EXPECT_EQ(batch[1].offset(), 8192 + 256 * kKib);
  EXPECT_EQ(batch[2].size, 88 * kKib);
  EXPECT_EQ(pending_.find(batch[2].handle).data(), buffers_[1].data() + 512 * kKib);
  EXPECT_FALSE(finish(batch[2].handle));
  EXPECT_FALSE(finish(batch[0].handle));
  EXPECT_TRUE(finish(batch[1].handle));
}

TEST_F(PendingRequestsTest, NeverMoreThanTwoHundredInFlight) {
  add(1, 300 * 256 * kKib);
  add(2, 4096);
  const auto first = take();
  EXPECT_EQ(first.size(), 200U);
  EXPECT_EQ(take().size(), 0U);
  for (int i = 0; i < 3; ++i) {
    finish(first[static_cast<std::size_t>(i)].handle);
  }
  const auto more = take();
  ASSERT_EQ(more.size(), 3U);
  EXPECT_EQ(more[0].offset(), 200 * 256 * kKib);
}

TEST_F(PendingRequestsTest, AnswerThatComesTwiceIsUnknown) {
  add(1, 4096);
  const std::uint64_t handle = take()[0].handle;
  finish(handle);
  EXPECT_TRUE(pending_.find(handle).empty());
  add(2, 4096);
  EXPECT_NE(take()[0].handle, handle);
  EXPECT_TRUE(pending_.find(handle).empty()) << "the slot is in use again, the handle is not";
}

TEST_F(PendingRequestsTest, HandlesThatWereNeverUsedAreUnknown) {
  add(1, 4096);
  const std::uint64_t handle = take()[0].handle;
  for (const std::uint64_t other : {handle + 1, handle ^ (std::uint64_t{1} << 63U), handle | 0xFF,
                                    std::uint64_t{0}, ~std::uint64_t{0}}) {
    EXPECT_TRUE(pending_.find(other).empty()) << other;
  }
}

TEST_F(PendingRequestsTest, LostConnectionMakesEverythingGoOutAgainOldestFirst) {
  add(1, 4096, 0);
  add(2, 4096, 4096);
  add(3, 4096, 8192);
  const auto before = take(2);
  pending_.sendAgain();
  EXPECT_EQ(pending_.sentCount(), 0U);
  const auto after = take();
  ASSERT_EQ(after.size(), 3U);
  EXPECT_EQ(after[0].offset(), 0U);
  EXPECT_EQ(after[1].offset(), 4096U);
  EXPECT_EQ(after[2].offset(), 8192U);
  EXPECT_TRUE(pending_.find(before[0].handle).empty()) << "that was asked of another connection";
}

TEST_F(PendingRequestsTest, RefusedPieceWaitsForAnotherServerOnce) {
  add(1, 4096);
  const std::uint64_t first = take()[0].handle;
  EXPECT_TRUE(pending_.refuse(first));
  EXPECT_EQ(take().size(), 0U);
  EXPECT_TRUE(pending_.find(first).empty());
  pending_.sendAgain();
  const std::uint64_t second = take()[0].handle;
  EXPECT_FALSE(pending_.refuse(second));
  EXPECT_TRUE(finish(second, EIO));
  EXPECT_EQ(answers_[1], 1000);
}

TEST_F(PendingRequestsTest, WithoutAnotherServerOnlyTheRefusedReadFails) {
  add(1, 4096);
  add(2, 4096);
  const auto batch = take();
  pending_.refuse(batch[0].handle);
  run(pending_.failRefused(errnoCode(EIO)));
  EXPECT_EQ(answers_[1], 1000);
  EXPECT_EQ(answers_.count(2), 0U);
  finish(batch[1].handle);
  EXPECT_EQ(answers_[2], 1);
}

TEST_F(PendingRequestsTest, FailedReadIsAnsweredWhenNoPieceUsesItsBufferAnyMore) {
  add(1, 300 * 256 * kKib);
  add(2, 4096);
  const auto batch = take();
  EXPECT_FALSE(finish(batch[0].handle, EIO));
  // What was not asked for yet never is; the next read goes on.
  const auto next = take();
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].size, 4096U);
  for (std::size_t i = 1; i + 1 < batch.size(); ++i) {
    EXPECT_FALSE(finish(batch[i].handle));
  }
  EXPECT_TRUE(finish(batch.back().handle));
  EXPECT_EQ(answers_[1], 1000);
}

TEST_F(PendingRequestsTest, FailAllAnswersEveryReadOnce) {
  add(1, 4096);
  add(2, 600 * kKib);
  add(3, 300 * 256 * kKib);
  add(4, 4096);
  const auto batch = take(3);
  finish(batch[1].handle);
  pending_.refuse(batch[2].handle);
  pending_.sendAgain();
  take(1);
  run(pending_.failAll(errnoCode(EIO)));
  EXPECT_EQ(answers_, (std::map<int, int>{{1, 1000}, {2, 1000}, {3, 1000}, {4, 1000}}));
  EXPECT_EQ(pending_.readCount(), 0U);
  EXPECT_EQ(take().size(), 0U);
}

// Whatever happens in whatever order, each read is answered once, and with success only if every
// byte of it was asked for and answered.
TEST_F(PendingRequestsTest, RandomHistoriesAnswerEachReadExactlyOnce) {
  test::SeededRandom random;
  std::map<std::uint64_t, dnbd3::RequestHeader> sent;
  std::vector<std::byte> buffer(600 * kKib);  // only its addresses are used
  int reads = 0;
  for (int step = 0; step < 20'000; ++step) {
    switch (random.between(0, 9)) {
      case 0:
      case 1:
      case 2:
        pending_.add(std::span(buffer).first(random.between(1, 3) * 200 * kKib), 0,
                     [this, number = reads++](std::error_code error) {
                       answers_[number] += error ? 1000 : 1;
                     });
        break;
      case 3:
        if (random.oneIn(20)) {
          pending_.sendAgain();
          sent.clear();
        }
        break;
      case 4:
        run(pending_.failRefused(errnoCode(EIO)));
        break;
      case 5:
      case 6:
        for (const auto& request : take(random.between(1, 5))) {
          ASSERT_TRUE(sent.emplace(request.handle, request).second);
        }
        break;
      default:
        if (!sent.empty()) {
          auto it = sent.begin();
          std::advance(it, static_cast<std::ptrdiff_t>(random.between(0, sent.size() - 1)));
          const auto request = it->second;
          ASSERT_EQ(pending_.find(request.handle).size(), request.size);
          sent.erase(it);
          if (!random.oneIn(10) || !pending_.refuse(request.handle)) {
            finish(request.handle, random.oneIn(20) ? EIO : 0);
          }
        }
    }
    ASSERT_EQ(pending_.sentCount(), sent.size());
    ASSERT_LE(sent.size(), PendingRequests::kMaxInFlight);
  }
  run(pending_.failAll(errnoCode(EIO)));
  ASSERT_EQ(answers_.size(), static_cast<std::size_t>(reads));
  for (const auto& [number, answer] : answers_) {
    ASSERT_TRUE(answer == 1 || answer == 1000) << number << ": " << answer;
  }
}

// --- reads that expire ---------------------------------------------------------------------

TEST_F(PendingRequestsTest, ExpiredReadIsAnsweredAndWhatComesLateGoesElsewhere) {
  add(1, 600 * kKib);
  add(2, 4096);
  const auto batch = take();
  ASSERT_EQ(batch.size(), 4U);
  finish(batch[0].handle);
  clock_.advance(std::chrono::seconds(1));
  add(3, 4096);
  run(pending_.expire(clock_.now() - std::chrono::seconds(1), errnoCode(EIO)));
  EXPECT_EQ(answers_, (std::map<int, int>{{1, 1000}, {2, 1000}}));
  EXPECT_EQ(pending_.readCount(), 1U);
  EXPECT_EQ(pending_.sentCount(), 3U) << "the server still has them to do";
  const auto place = pending_.find(batch[1].handle);
  EXPECT_EQ(place.size(), batch[1].size);
  EXPECT_FALSE(place.data() >= buffers_[1].data() &&
               place.data() < buffers_[1].data() + buffers_[1].size());
  EXPECT_FALSE(finish(batch[1].handle));
  EXPECT_FALSE(pending_.refuse(batch[2].handle));
  EXPECT_FALSE(finish(batch[2].handle, EIO));
  EXPECT_FALSE(finish(batch[3].handle));
  EXPECT_EQ(pending_.sentCount(), 0U);
  EXPECT_EQ(pending_.sentBytes(), 0U);
  EXPECT_TRUE(finish(take()[0].handle));
  EXPECT_EQ(answers_[3], 1);
}

TEST_F(PendingRequestsTest, ExpiredReadsThatWereNeverSentLeaveNothingBehind) {
  add(1, 300 * 256 * kKib);
  add(2, 4096);
  take();
  pending_.sendAgain();
  run(pending_.expire(clock_.now(), errnoCode(EIO)));
  EXPECT_EQ(answers_, (std::map<int, int>{{1, 1000}, {2, 1000}}));
  EXPECT_FALSE(pending_.hasUnsent());
  EXPECT_EQ(pending_.oldestAsked(), std::nullopt);
}

TEST_F(PendingRequestsTest, TellsHowLongAPieceWasPassedOver) {
  using std::chrono::seconds;
  add(1, 4096);
  add(2, 4096);
  const auto early = take();
  clock_.advance(seconds(5));
  EXPECT_EQ(pending_.passedOver(), seconds(0)) << "nothing was answered: it is slow, no more";
  add(3, 4096);
  const auto late = take();
  finish(early[0].handle);
  EXPECT_EQ(pending_.passedOver(), seconds(0)) << "they were asked for together";
  finish(late[0].handle);
  EXPECT_EQ(pending_.passedOver(), seconds(5));
  finish(early[1].handle);
  EXPECT_EQ(pending_.passedOver(), seconds(0));
}

/// Room that nothing else uses and nobody may touch.
class Addresses {
 public:
  explicit Addresses(std::size_t size)
      : size_(size),
        begin_(
            ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  ~Addresses() { ::munmap(begin_, size_); }
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;
  [[nodiscard]] std::byte* begin() const { return static_cast<std::byte*>(begin_); }

 private:
  std::size_t size_;
  void* begin_;
};

// Whatever expires when, a place of a read that was answered is never handed out again: its owner
// may have given the memory to somebody else.
TEST_F(PendingRequestsTest, NoPlaceOfAReadThatWasAnsweredIsHandedOut) {
  constexpr std::size_t kEach = 600 * kKib;
  constexpr std::size_t kReads = 3000;
  const Addresses memory(kReads * kEach);
  test::SeededRandom random;
  std::vector<std::uint64_t> sent;
  std::map<std::size_t, int> answers;
  std::size_t reads = 0;
  const auto ownerOf = [&](std::span<std::byte> place) -> std::optional<std::size_t> {
    const auto distance = reinterpret_cast<std::uintptr_t>(place.data()) -
                          reinterpret_cast<std::uintptr_t>(memory.begin());
    return distance < kReads * kEach ? std::optional(distance / kEach) : std::nullopt;
  };
  while (reads < kReads) {
    clock_.advance(std::chrono::milliseconds(random.between(0, 3)));
    const std::uint64_t choice = random.between(0, 99);
    if (choice < 30) {
      pending_.add(
          {memory.begin() + reads * kEach, random.between(1, 3) * 200 * kKib}, 0,
          [&answers, reads](std::error_code) { ++answers[reads]; }, clock_.now());
      ++reads;
    } else if (choice < 60) {
      for (const auto& request : take(random.between(1, 8))) {
        sent.push_back(request.handle);
      }
    } else if (choice < 95 && !sent.empty()) {
      std::swap(sent[random.between(0, sent.size() - 1)], sent.back());
      const std::uint64_t handle = sent.back();
      sent.pop_back();
      const auto place = pending_.find(handle);
      ASSERT_FALSE(place.empty());
      const auto owner = ownerOf(place);
      ASSERT_TRUE(!owner || answers[*owner] == 0) << "read " << *owner;
      if (!random.oneIn(10) || !pending_.refuse(handle)) {
        finish(handle, random.oneIn(20) ? EIO : 0);
      }
    } else if (choice < 97) {
      run(pending_.expire(clock_.now() - std::chrono::milliseconds(random.between(0, 300)),
                          errnoCode(EIO)));
    } else if (choice < 98) {
      pending_.sendAgain();
      sent.clear();
    } else {
      run(pending_.failRefused(errnoCode(EIO)));
    }
    ASSERT_EQ(pending_.sentCount(), sent.size());
    ASSERT_LE(sent.size(), PendingRequests::kMaxInFlight);
  }
  run(pending_.expire(clock_.now(), errnoCode(EIO)));
  EXPECT_EQ(pending_.readCount(), 0U);
  ASSERT_EQ(answers.size(), reads);
  for (const auto& [read, count] : answers) {
    ASSERT_EQ(count, 1) << "read " << read;
  }
}

}  // namespace
}  // namespace netcow
