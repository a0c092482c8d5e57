// SPDX-License-Identifier: Apache-2.0
#include "mount/pending_request.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>

#include "mount/killed_process.h"
#include "recording_fuse.h"

namespace netcow {

namespace {
std::atomic<bool> isKilled = true;
std::atomic<int> looks = 0;
}  // namespace

/// In place of the one that asks the kernel.
bool isBeingKilled(pid_t /*id*/) noexcept {
  ++looks;
  return isKilled;
}

namespace {

class PendingRequestTest : public testing::Test {
 protected:
  PendingRequestTest() { isKilled = true; }

  SignalledCallers signalled_{std::chrono::milliseconds(1)};
  PendingCount count_;
  fuse_req request_{nullptr};
  std::shared_ptr<PendingRequest> pending_ =
      std::make_shared<PendingRequest>(Reply(&request_), count_);
};

TEST_F(PendingRequestTest, IsAnsweredByWhoClaimsIt) {
  pending_->releaseIfCallerIsKilled(signalled_);
  pending_->claim().value().written(3);
  EXPECT_FALSE(pending_->claim());
  pending_.reset();
  EXPECT_EQ(request_.answer().count, 3U);
}

TEST_F(PendingRequestTest, FailsWhenItsCompletionIsDropped) {
  pending_.reset();
  EXPECT_EQ(request_.answer().code, EIO);
}

TEST_F(PendingRequestTest, LetsAKilledCallerGo) {
  pending_->releaseIfCallerIsKilled(signalled_);
  request_.interrupt();
  EXPECT_EQ(request_.answer().code, EINTR);
  EXPECT_FALSE(pending_->claim()) << "the completion comes too late";
  pending_.reset();
  EXPECT_EQ(request_.answers(), 1U);
}

TEST_F(PendingRequestTest, LetsACallerGoThatWasKilledBeforeItWaited) {
  request_.interruptedEarly = true;
  pending_->releaseIfCallerIsKilled(signalled_);
  EXPECT_FALSE(request_.answeredUnderLock) << "that would free the request under libfuse";
  EXPECT_EQ(request_.answer().code, EINTR);
  EXPECT_FALSE(pending_->claim());
}

TEST_F(PendingRequestTest, LetsACallerGoThatIsKilledAfterAnotherSignal) {
  isKilled = false;
  pending_->releaseIfCallerIsKilled(signalled_);
  request_.interrupt();
  for (const int before = looks; looks < before + 2;) {
    std::this_thread::yield();
  }
  EXPECT_EQ(request_.answers(), 0U);
  isKilled = true;
  EXPECT_EQ(request_.answer().code, EINTR);
  EXPECT_FALSE(pending_->claim()) << "the completion comes too late";
}

TEST_F(PendingRequestTest, NoLongerLooksAtACallerThatGotItsAnswer) {
  isKilled = false;
  pending_->releaseIfCallerIsKilled(signalled_);
  request_.interrupt();
  pending_->claim().value().done();
  pending_.reset();
  isKilled = true;
  EXPECT_EQ(request_.answer().code, 0);
}

TEST_F(PendingRequestTest, DoesNotWatchWhatHasEndedAlready) {
  pending_->claim().value().done();
  pending_->releaseIfCallerIsKilled(signalled_);
  EXPECT_EQ(request_.interruptFunction, nullptr);
}

TEST_F(PendingRequestTest, IsNotInterruptedAfterItWasClaimed) {
  pending_->releaseIfCallerIsKilled(signalled_);
  std::optional<Reply> reply = pending_->claim();
  EXPECT_EQ(request_.interruptFunction, nullptr);
  request_.interrupt();
  EXPECT_EQ(request_.answers(), 0U);
  reply.value().done();
}

TEST_F(PendingRequestTest, IsCountedUntilItsCompletionLetsGo) {
  EXPECT_FALSE(count_.waitUntilNone(std::chrono::milliseconds(1)));
  pending_->releaseIfCallerIsKilled(signalled_);
  request_.interrupt();
  EXPECT_FALSE(count_.waitUntilNone(std::chrono::milliseconds(1)))
      << "answered, but the source still writes to its memory";
  pending_.reset();
  EXPECT_TRUE(count_.waitUntilNone(std::chrono::milliseconds(1)));
}

}  // namespace
}  // namespace netcow
