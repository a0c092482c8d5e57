// SPDX-License-Identifier: Apache-2.0
#include "source/pending_requests.h"

#include <gtest/gtest.h>

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
    pending_.add(buffers_[number], offset,
                 [this, number](std::error_code error) { answers_[number] += error ? 1000 : 1; });
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

}  // namespace
}  // namespace netcow
