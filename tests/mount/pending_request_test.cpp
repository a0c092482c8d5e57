// SPDX-License-Identifier: Apache-2.0
#include "mount/pending_request.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "mount/killed_process.h"
#include "recording_fuse.h"

namespace netcow {

/// In place of the one that asks the kernel: here every interrupted process is dying.
bool isBeingKilled(pid_t /*id*/) noexcept {
  return true;
}

namespace {

class PendingRequestTest : public testing::Test {
 protected:
  PendingCount count_;
  fuse_req request_{nullptr};
  std::shared_ptr<PendingRequest> pending_ =
      std::make_shared<PendingRequest>(Reply(&request_), count_);
};

TEST_F(PendingRequestTest, IsAnsweredByWhoClaimsIt) {
  pending_->releaseIfCallerIsKilled();
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
  pending_->releaseIfCallerIsKilled();
  request_.interrupt();
  EXPECT_EQ(request_.answer().code, EINTR);
  EXPECT_FALSE(pending_->claim()) << "the completion comes too late";
  pending_.reset();
  EXPECT_EQ(request_.answers(), 1U);
}

TEST_F(PendingRequestTest, LetsACallerGoThatWasKilledBeforeItWaited) {
  request_.interruptedEarly = true;
  pending_->releaseIfCallerIsKilled();
  EXPECT_FALSE(request_.answeredUnderLock) << "that would free the request under libfuse";
  EXPECT_EQ(request_.answer().code, EINTR);
  EXPECT_FALSE(pending_->claim());
}

TEST_F(PendingRequestTest, DoesNotWatchWhatHasEndedAlready) {
  pending_->claim().value().done();
  pending_->releaseIfCallerIsKilled();
  EXPECT_EQ(request_.interruptFunction, nullptr);
}

TEST_F(PendingRequestTest, IsNotInterruptedAfterItWasClaimed) {
  pending_->releaseIfCallerIsKilled();
  std::optional<Reply> reply = pending_->claim();
  EXPECT_EQ(request_.interruptFunction, nullptr);
  request_.interrupt();
  EXPECT_EQ(request_.answers(), 0U);
  reply.value().done();
}

TEST_F(PendingRequestTest, IsCountedUntilItsCompletionLetsGo) {
  EXPECT_FALSE(count_.waitUntilNone(std::chrono::milliseconds(1)));
  pending_->releaseIfCallerIsKilled();
  request_.interrupt();
  EXPECT_FALSE(count_.waitUntilNone(std::chrono::milliseconds(1)))
      << "answered, but the source still writes to its memory";
  pending_.reset();
  EXPECT_TRUE(count_.waitUntilNone(std::chrono::milliseconds(1)));
}

}  // namespace
}  // namespace netcow
