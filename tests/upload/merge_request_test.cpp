// SPDX-License-Identifier: Apache-2.0
// When the uploader asks for the merge, and what becomes of it.
#include <gmock/gmock.h>

#include "upload/uploader_fixture.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;
using test::FakeUploadService;
using test::HttpReply;
using test::HttpRequest;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Fault = HttpReply::Fault;

class MergeRequest : public test::UploaderTest {
 protected:
  MergeRequest() { options.merge = true; }

  void expectMergedOnce(const UploadOutcome& outcome) {
    EXPECT_EQ(outcome.status, ExitStatus::done) << outcome.message;
    EXPECT_EQ(service.taken("merge").size(), 1U);
    EXPECT_THAT(mergeStates, ElementsAre(MergeState::asked, MergeState::done));
    EXPECT_EQ(status("state"), "done");
  }
};

TEST_F(MergeRequest, CarriesTheSizes) {
  local.writeClusters(2);
  ASSERT_FALSE(local.session().setSizes(5'000'000, 4'000'000));
  expectMergedOnce(finish());
  const HttpRequest request = service.taken("merge").at(0);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/v1/file/merge");
  EXPECT_EQ(request.body, std::string("originalFileSize=4000000&newFileSize=5000000&uuid=") +
                              FakeUploadService::kUuid);
}

TEST_F(MergeRequest, ComesAfterEveryClusterHasArrived) {
  failFirst("update", 5, [](HttpReply& reply) { reply.status = 503; });
  local.writeClusters(20);
  expectMergedOnce(finish());
  const auto calls = service.calls();
  const auto merge = std::find(calls.begin(), calls.end(), "merge");
  EXPECT_EQ(std::count(calls.begin(), merge, "update"), 25);
  EXPECT_EQ(std::count(merge, calls.end(), "update"), 0);
}

TEST_F(MergeRequest, WaitsForThePauseAskedForWithTheLastCluster) {
  failFirst("update", 1, [](HttpReply& reply) { reply.headers = {"Retry-After: 20"}; });
  local.writeClusters(1);
  const auto before = local.clock().now();
  expectMergedOnce(finish());
  EXPECT_GE(local.clock().now() - before, 20s);
}

TEST_F(MergeRequest, IsMadeAlsoWhenNothingWasChanged) {
  expectMergedOnce(finish());
  EXPECT_TRUE(service.asked("update").empty());
}

TEST_F(MergeRequest, IsNotMadeAgainByALaterRun) {
  options.earlierMerge = MergeState::done;
  local.writeClusters(1);
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_THAT(service.calls(), ElementsAre("update", "status"));
  EXPECT_THAT(mergeStates, IsEmpty());
}

TEST_F(MergeRequest, IsMadeAgainByALaterRunWhenItFailedOnTheServer) {
  options.earlierMerge = MergeState::done;
  service.setState("Failed");
  service.setScript([this](const HttpRequest& request, HttpReply&) {
    if (test::callOf(request) == "merge") {
      service.setState("Done");
    }
  });
  expectMergedOnce(finish());
  EXPECT_THAT(service.calls(), ElementsAre("status", "merge", "status"));
}

TEST_F(MergeRequest, OfAnEarlierRunStaysDoneWhenTheServerDoesNotAnswer) {
  options.earlierMerge = MergeState::done;
  service.setScript([](const HttpRequest&, HttpReply& reply) { reply.fault = Fault::loseAnswer; });
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_THAT(service.calls(), ElementsAre("status"));
  EXPECT_THAT(mergeStates, IsEmpty());
}

TEST_F(MergeRequest, OfAnEarlierRunIsWatchedUntilItsOutcomeIsKnown) {
  options.earlierMerge = MergeState::done;
  service.setState("Merging");
  service.setScript([this](const HttpRequest&, HttpReply&) {
    if (service.calls().size() == 2) {
      service.setState("Failed");
    }
  });
  EXPECT_EQ(finish().status, ExitStatus::notMerged);
  EXPECT_TRUE(service.asked("merge").empty());
  EXPECT_THAT(mergeStates, ElementsAre(MergeState::refused));
}

TEST_F(MergeRequest, FollowsCheckpointSoThatARunAfterACrashKnows) {
  local.writeClusters(3);
  bool wasCheckpointed = false;
  options.onMergeState = [&](MergeState state) {
    wasCheckpointed =
        wasCheckpointed || (state == MergeState::asked && !local.session().needsCheckpoint());
  };
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_TRUE(wasCheckpointed);
}

TEST_F(MergeRequest, IsRepeatedUntilTheServerHasCopied) {
  failFirst("merge", 4, [](HttpReply& reply) { reply.status = 500; });
  expectMergedOnce(finish());
  EXPECT_EQ(service.asked("merge").size(), 5U);
}

TEST_F(MergeRequest, IsRepeatedWhenTheConnectionBreaksBeforeItArrived) {
  failFirst("merge", 2, [](HttpReply& reply) { reply.fault = Fault::resetBeforeBody; });
  expectMergedOnce(finish());
  EXPECT_EQ(service.asked("merge").size(), 3U);
}

TEST_F(MergeRequest, IsNotRepeatedWhenOnlyItsAnswerWasLost) {
  // curl repeats a request by itself when the connection it kept breaks; not this one.
  local.writeClusters(1);
  service.setScript([this](const HttpRequest& request, HttpReply& reply) {
    if (test::callOf(request) == "merge") {
      reply.fault = Fault::loseAnswer;
      service.setState("Done");
    }
  });
  expectMergedOnce(finish());
  EXPECT_EQ(service.asked("merge").size(), 1U);
}

TEST_F(MergeRequest, SurvivesARestartOfTheServer) {
  failFirst("merge", 1, [](HttpReply& reply) { reply.status = 404; });
  expectMergedOnce(finish());
  EXPECT_THAT(service.calls(), ElementsAre("merge", "status", "merge", "status"));
}

TEST_F(MergeRequest, EndsWhenTheServerKeepsNotKnowingTheSession) {
  service.setScript([](const HttpRequest& request, HttpReply& reply) {
    if (test::callOf(request) == "merge") {
      reply.status = 404;
    }
  });
  EXPECT_EQ(finish().status, ExitStatus::notMerged);
  EXPECT_THAT(service.calls(), ElementsAre("merge", "status", "merge"));
  EXPECT_THAT(mergeStates, ElementsAre(MergeState::asked, MergeState::refused));
  EXPECT_EQ(status("state"), "failed");
}

TEST_F(MergeRequest, EndsWhenItIsRefused) {
  failFirst("merge", 1, [](HttpReply& reply) {
    reply.status = 409;
    reply.body = "merged with other sizes";
  });
  const UploadOutcome outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::notMerged);
  EXPECT_THAT(outcome.message, HasSubstr("merged with other sizes"));
  EXPECT_THAT(service.calls(), ElementsAre("merge"));
}

TEST_F(MergeRequest, WaitsForAServerThatTellsHowFarItIs) {
  service.setState("Merging");
  start();
  auto outcome = beginToFinish();
  ASSERT_TRUE(service.waitFor([&] {
    local.clock().advance(1s);
    uploader->wake();
    return service.asked("status").size() >= 3;
  }));
  service.setState("Done");
  expectMergedOnce(waitForEnd(outcome));
}

TEST_F(MergeRequest, TellsOfAMergeThatFailedOnTheServer) {
  service.setState("Failed");
  EXPECT_EQ(finish().status, ExitStatus::notMerged);
  EXPECT_THAT(mergeStates, ElementsAre(MergeState::asked, MergeState::done, MergeState::refused));
}

TEST_F(MergeRequest, CanBeCancelled) {
  service.setScript([](const HttpRequest&, HttpReply& reply) { reply.status = 500; });
  start();
  auto outcome = beginToFinish();
  ASSERT_TRUE(service.waitFor([&] { return service.asked("merge").size() == 1; }));
  uploader->cancel();
  EXPECT_EQ(outcome.get().status, ExitStatus::notMerged);
  EXPECT_EQ(status("state"), "cancelled");
  EXPECT_THAT(mergeStates, ElementsAre(MergeState::asked));
}

TEST_F(MergeRequest, CountsWhenOnlyTheWaitForItsEndIsCancelled) {
  // It tells nothing of a merge, and is asked a few times more.
  service.setState("Active");
  start();
  auto outcome = beginToFinish();
  ASSERT_TRUE(service.waitFor([&] { return service.asked("status").size() == 1; }));
  uploader->cancel();
  expectMergedOnce(outcome.get());
}

TEST_F(MergeRequest, IsNotReportedAsMergedWhenCancelledWhileTheServerMerges) {
  service.setState("Merging");
  start();
  auto outcome = beginToFinish();
  ASSERT_TRUE(service.waitFor([&] {
    local.clock().advance(1s);
    uploader->wake();
    return service.asked("status").size() >= 2;  // so the first answer has been heard
  }));
  uploader->cancel();
  const UploadOutcome end = outcome.get();
  EXPECT_EQ(end.status, ExitStatus::notMerged);
  EXPECT_THAT(end.message, HasSubstr("still merging; `netcow upload -m "));
  EXPECT_THAT(mergeStates, ElementsAre(MergeState::asked, MergeState::done));
  EXPECT_EQ(status("state"), "cancelled");
}

TEST_F(MergeRequest, WhoseAnswerAnEarlierRunDidNotLiveToSeeIsLookedForFirst) {
  options.earlierMerge = MergeState::asked;
  service.setState("Done");
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_THAT(service.calls(), ElementsAre("status"));
  EXPECT_THAT(mergeStates, ElementsAre(MergeState::done));
}

TEST_F(MergeRequest, CountsThoughItCannotBeRemembered) {
  options.onMergeState = [](MergeState) { throw std::runtime_error("no space left on device"); };
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_EQ(service.taken("merge").size(), 1U);
}

}  // namespace
}  // namespace netcow
