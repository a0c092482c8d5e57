// SPDX-License-Identifier: Apache-2.0
#include "upload/merge_plan.h"

#include <gtest/gtest.h>

#include "support/fake_clock.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;
using test::FakeClock;
using Step = MergePlan::Step;

HttpAnswer answered(long status, const std::string& body = {}) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = body;
  return answer;
}

HttpAnswer inState(const std::string& state) {
  return answered(200, R"({"state":")" + state + R"("})");
}

HttpAnswer lost() {
  HttpAnswer answer;
  answer.error = "connection reset";
  return answer;
}

/// Waits are as long as the rules say.
const Jitter exactly([] { return 0.5; });

class Merge : public testing::Test {
 protected:
  void expectNext(Step step, std::chrono::milliseconds after = 0ms) {
    EXPECT_EQ(plan.step(), step);
    EXPECT_EQ(plan.time() - clock.now(), after);
    clock.advance(after);
  }
  void expectMerged() {
    EXPECT_EQ(plan.step(), Step::end);
    EXPECT_EQ(plan.state(), MergeState::done);
    EXPECT_EQ(plan.problem(), "");
  }
  void expectRefused(const std::string& problem) {
    EXPECT_EQ(plan.step(), Step::end);
    EXPECT_EQ(plan.state(), MergeState::refused);
    EXPECT_NE(plan.problem().find(problem), std::string::npos) << plan.problem();
  }

  FakeClock clock;
  MergePlan plan{MergeState::none, clock.now(), UploadRules{}, clock, exactly};
};

TEST_F(Merge, IsAskedAtOnce) {
  expectNext(Step::askMerge);
  EXPECT_EQ(plan.state(), MergeState::asked);
}

TEST_F(Merge, CountsAsDoneAsSoonAsItIsAccepted) {
  plan.mergeAnswered(answered(200, "Merge started"));
  EXPECT_EQ(plan.state(), MergeState::done);
}

TEST_F(Merge, NeverWaitsForTheReferenceServer) {
  plan.mergeAnswered(answered(202));
  expectNext(Step::askStatus);
  plan.statusAnswered(inState("Copying"));
  expectMerged();
}

TEST_F(Merge, NeverWaitsForAServerWithoutAState) {
  plan.mergeAnswered(answered(200));
  plan.statusAnswered(answered(404));
  expectMerged();
}

TEST_F(Merge, WaitsForAServerThatTellsTheTruth) {
  plan.mergeAnswered(answered(200));
  plan.statusAnswered(inState("Merging"));
  expectNext(Step::askStatus, 1s);
  plan.statusAnswered(inState("Merging"));
  expectNext(Step::askStatus, 2s);
  plan.statusAnswered(lost());
  expectNext(Step::askStatus, 4s);
  plan.statusAnswered(inState("Done"));
  expectMerged();
}

TEST_F(Merge, TellsOfAMergeThatFailedOnTheServer) {
  plan.mergeAnswered(answered(200));
  plan.statusAnswered(inState("Merging"));
  plan.statusAnswered(inState("Failed"));
  expectRefused("failed there");
}

TEST_F(Merge, IsNotWaitedForForEver) {
  plan.mergeAnswered(answered(200));
  int looks = 0;
  while (plan.step() == Step::askStatus && looks < 100) {
    plan.statusAnswered(inState("Active"));
    ++looks;
  }
  expectMerged();
  EXPECT_EQ(looks, 4);
}

TEST_F(Merge, IsAskedAgainLaterWhileTheServerCopies) {
  for (const auto wait : {1s, 2s, 4s, 8s, 8s}) {
    expectNext(Step::askMerge);
    plan.mergeAnswered(answered(500));
    expectNext(Step::askStatus, wait);
    plan.statusAnswered(inState("Copying"));
  }
  expectNext(Step::askMerge);
  plan.mergeAnswered(answered(200));
  EXPECT_EQ(plan.state(), MergeState::done);
}

TEST_F(Merge, WaitsAsLongAsTheServerAsks) {
  HttpAnswer busy = answered(503);
  busy.retryAfter = 16s;
  plan.mergeAnswered(busy);
  expectNext(Step::askStatus, 18s);
}

TEST_F(Merge, IsNotAskedAgainWhenALostAnswerMeantYes) {
  plan.mergeAnswered(lost());
  expectNext(Step::askStatus, 1s);
  plan.statusAnswered(inState("Merging"));
  EXPECT_EQ(plan.state(), MergeState::done);
  expectNext(Step::askStatus, 1s);
  plan.statusAnswered(inState("Done"));
  expectMerged();
}

TEST_F(Merge, IsAskedAgainWhenNothingProvesThatItArrived) {
  for (const char* state : {"Copying", "Active", "Failed"}) {
    plan.mergeAnswered(lost());
    plan.statusAnswered(inState(state));
    EXPECT_EQ(plan.step(), Step::askMerge) << state;
    EXPECT_EQ(plan.state(), MergeState::asked);
  }
  plan.mergeAnswered(lost());
  plan.statusAnswered(answered(404));
  EXPECT_EQ(plan.step(), Step::askMerge) << "the server has no status call";
}

TEST_F(Merge, IsNotAskedAgainUntilTheServerSaidWhetherItArrived) {
  plan.mergeAnswered(answered(504));
  expectNext(Step::askStatus, 1s);
  plan.statusAnswered(lost());
  expectNext(Step::askStatus, 2s);
  plan.statusAnswered(answered(500));
  expectNext(Step::askStatus, 4s);
  plan.statusAnswered(inState("Done"));
  expectMerged();
}

TEST_F(Merge, IsAskedAgainThoughTheStatusFailsWhenItCannotHaveArrived) {
  plan.mergeAnswered(answered(500));
  expectNext(Step::askStatus, 1s);
  plan.statusAnswered(answered(500));
  expectNext(Step::askMerge);
}

TEST_F(Merge, ForgivesAServerThatWasRestartedOnce) {
  plan.mergeAnswered(answered(404));
  expectNext(Step::askStatus);
  plan.statusAnswered(inState("Copying"));
  expectNext(Step::askMerge);
  plan.mergeAnswered(answered(404, "Session not found"));
  expectRefused("Session not found");
}

TEST_F(Merge, EndsWhenItIsRefused) {
  plan.mergeAnswered(answered(409, "other sizes"));
  expectRefused("HTTP 409 (other sizes)");
}

TEST_F(Merge, EndsWhenTheServerWillNeverTakeIt) {
  plan.mergeAnswered(answered(400));
  expectRefused("HTTP 400");
}

TEST(MergeOfAnEarlierRun, IsLookedForBeforeItIsAskedAgain) {
  const FakeClock clock;
  MergePlan plan(MergeState::asked, clock.now(), UploadRules{}, clock, exactly);
  EXPECT_EQ(plan.step(), Step::askStatus);
  plan.statusAnswered(inState("Done"));
  EXPECT_EQ(plan.step(), Step::end);
  EXPECT_EQ(plan.state(), MergeState::done);
}

TEST(MergeOfAnEarlierRun, IsAskedAgainWhenItFailedAfterItWasTaken) {
  const FakeClock clock;
  MergePlan plan(MergeState::done, clock.now(), UploadRules{}, clock, exactly);
  EXPECT_EQ(plan.step(), Step::askStatus);
  EXPECT_EQ(plan.state(), MergeState::done);
  plan.statusAnswered(inState("Failed"));
  EXPECT_EQ(plan.step(), Step::askMerge);
  EXPECT_EQ(plan.state(), MergeState::asked);
}

TEST(MergeOfAnEarlierRun, StaysDoneWhateverElseTheServerTells) {
  for (const HttpAnswer& answer :
       {inState("Done"), inState("Copying"), inState("Active"), answered(200), answered(404),
        answered(401), answered(503), lost()}) {
    const FakeClock clock;
    MergePlan plan(MergeState::done, clock.now(), UploadRules{}, clock, exactly);
    plan.statusAnswered(answer);
    EXPECT_EQ(plan.step(), Step::end) << describe(answer);
    EXPECT_EQ(plan.state(), MergeState::done) << describe(answer);
    EXPECT_EQ(plan.problem(), "") << describe(answer);
  }
}

TEST(MergeOfAnEarlierRun, IsWaitedForWhileTheServerMerges) {
  FakeClock clock;
  MergePlan plan(MergeState::done, clock.now(), UploadRules{}, clock, exactly);
  plan.statusAnswered(inState("Merging"));
  EXPECT_EQ(plan.step(), Step::askStatus);
  EXPECT_EQ(plan.state(), MergeState::done);
  EXPECT_TRUE(plan.isServerMerging());
  EXPECT_GT(plan.time(), clock.now());
  plan.statusAnswered(inState("Done"));
  EXPECT_EQ(plan.step(), Step::end);
  EXPECT_EQ(plan.state(), MergeState::done);
  EXPECT_FALSE(plan.isServerMerging());
}

TEST(MergeOfAnEarlierRun, MayBeAskedAgainWhenItWasRefused) {
  const FakeClock clock;
  const MergePlan plan(MergeState::refused, clock.now(), UploadRules{}, clock, exactly);
  EXPECT_EQ(plan.step(), Step::askMerge);
}

}  // namespace
}  // namespace netcow
