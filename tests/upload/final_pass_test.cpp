// SPDX-License-Identifier: Apache-2.0
// What the uploader does once the image is unmounted, and how it ends.
#include <algorithm>
#include <thread>

#include "base/whole_io.h"
#include "upload/uploader_fixture.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;
using test::Gate;
using test::HttpReply;
using test::HttpRequest;
using Fault = HttpReply::Fault;
using FinalPass = test::UploaderTest;

TEST_F(FinalPass, SendsEverythingAtOnce) {
  local.writeClusters(30);
  const UploadOutcome outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::done);
  expectServerHasEverything();
  EXPECT_EQ(service.asked("update").size(), 30U);
  EXPECT_TRUE(service.asked("merge").empty()) << "nobody asked for a merge";
  EXPECT_EQ(status("state"), "done");
  EXPECT_EQ(status("totalClustersUploaded"), "30");
  EXPECT_EQ(status("inQueue"), "0");
}

TEST_F(FinalPass, NeedsNoThreadOfItsOwn) {
  local.writeClusters(3);
  Uploader alone(local.session(), options, local.clock());
  EXPECT_EQ(alone.finish().status, ExitStatus::done);
  expectServerHasEverything();
}

TEST_F(FinalPass, SendsNothingWhenNothingIsDirty) {
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_TRUE(service.calls().empty());
}

TEST_F(FinalPass, SendsTenClustersAtATime) {
  Gate gate;
  service.setScript(
      [&](const HttpRequest&, HttpReply& reply) { reply.mayAnswer = gate.untilOpen(); });
  local.writeClusters(25);
  start();
  auto outcome = beginToFinish();
  ASSERT_TRUE(service.waitFor([&] { return gate.waiting() == 10; }));
  passTime(10s);
  EXPECT_EQ(gate.waiting(), 10);
  EXPECT_EQ(status("state"), "uploading");
  EXPECT_EQ(status("activeUploads"), "10");
  EXPECT_EQ(status("inQueue"), "25");
  EXPECT_EQ(status("modifiedClusters"), "0");
  gate.open();
  EXPECT_EQ(waitForEnd(outcome).status, ExitStatus::done);
  EXPECT_LE(service.server().connections(), 10U);
  expectServerHasEverything();
}

TEST_F(FinalPass, RepeatsUntilEverythingHasArrived) {
  failFirst("update", 25, [](HttpReply& reply) { reply.status = 500; });
  local.writeClusters(5);
  EXPECT_EQ(finish().status, ExitStatus::done);
  expectServerHasEverything();
  EXPECT_EQ(service.asked("update").size(), 30U);
}

class FinalPassOverBadLines : public FinalPass, public testing::WithParamInterface<Fault> {};

TEST_P(FinalPassOverBadLines, EndsWithEverythingOnTheServer) {
  failFirst("update", 4, [](HttpReply& reply) { reply.fault = GetParam(); });
  local.fill(0, 'x');
  local.fill(1, 'y');
  local.write(2, 1, 1, 'z');
  EXPECT_EQ(finish().status, ExitStatus::done);
  expectServerHasEverything();
  EXPECT_GE(service.asked("update").size(), 5U);
}

INSTANTIATE_TEST_SUITE_P(Faults, FinalPassOverBadLines,
                         testing::Values(Fault::resetBeforeBody, Fault::resetDuringBody,
                                         Fault::loseAnswer));

TEST_F(FinalPass, TriesTheAnswersThatAskForIt) {
  for (const int code : {408, 425, 429, 502}) {
    failFirst("update", 1, [code](HttpReply& reply) { reply.status = code; });
    local.write(0, 0, 1, static_cast<char>(code % 100));
    uploader.reset();
    EXPECT_EQ(finish().status, ExitStatus::done) << code;
    expectServerHasEverything();
  }
}

TEST_F(FinalPass, GivesUpAnUploadThatDoesNotMove) {
  options.rules.giveUpAfter = 1s;
  failFirst("update", 1, [](HttpReply& reply) { reply.fault = Fault::neverAnswer; });
  local.write(0, 0, 1, 'a');
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_EQ(service.asked("update").size(), 2U);
  expectServerHasEverything();
}

TEST_F(FinalPass, SendsNothingAfterAFailedSync) {
  local.writeClusters(3);
  local.syncsToFail = 1;
  EXPECT_TRUE(local.session().checkpoint());
  local.write(5, 0, 1, 'a');
  const UploadOutcome outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::notUploaded);
  EXPECT_NE(outcome.message.find("cannot be made durable"), std::string::npos) << outcome.message;
  EXPECT_NE(outcome.message.find("4 clusters are not uploaded"), std::string::npos);
  EXPECT_TRUE(service.calls().empty());
  EXPECT_EQ(status("state"), "failed");
}

TEST_F(FinalPass, WaitsUntilACheckpointFindsRoom) {
  local.writeClusters(3);
  local.writesToMetaWithoutRoom = 5;
  service.setScript([this](const HttpRequest&, HttpReply&) {
    EXPECT_EQ(local.writesToMetaWithoutRoom, 0) << "sent before a checkpoint covered it";
  });
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_EQ(local.writesToMetaWithoutRoom, 0);
  expectServerHasEverything();
  EXPECT_EQ(service.asked("update").size(), 3U);
}

class RefusedSession : public FinalPass, public testing::WithParamInterface<int> {};

TEST_P(RefusedSession, EndsTheUploadWithItsChangesKept) {
  options.merge = true;
  service.setScript([](const HttpRequest&, HttpReply& reply) {
    reply.status = GetParam();
    reply.body = "go away";
  });
  local.writeClusters(30);
  const UploadOutcome outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::notUploaded);
  EXPECT_NE(outcome.message.find("HTTP " + std::to_string(GetParam()) + " (go away)"),
            std::string::npos)
      << outcome.message;
  EXPECT_NE(outcome.message.find("30 clusters are not uploaded"), std::string::npos);
  EXPECT_EQ(local.dirtyClusters(), 30U);
  EXPECT_LE(service.asked("update").size(), 10U);
  EXPECT_TRUE(service.asked("merge").empty());
  EXPECT_EQ(status("state"), "failed");
}

INSTANTIATE_TEST_SUITE_P(Answers, RefusedSession, testing::Values(400, 401, 403, 404, 409, 302));

TEST_F(FinalPass, EndsWhenTheBodyIsRefusedBeforeItWasSent) {
  service.setScript([](const HttpRequest&, HttpReply& reply) {
    reply.status = 413;
    reply.fault = Fault::answerEarly;
  });
  local.fill(0, 'x');
  const UploadOutcome outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::notUploaded);
  EXPECT_NE(outcome.message.find("HTTP 413"), std::string::npos) << outcome.message;
}

TEST_F(FinalPass, WaitsAsLongAsTheServerAsksEvenWithA404) {
  failFirst("update", 3, [](HttpReply& reply) {
    reply.status = 404;
    reply.headers = {"RETRY-AFTER:2"};
  });
  local.writeClusters(3);
  const auto before = local.clock().now();
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_GE(local.clock().now() - before, 2s);
  expectServerHasEverything();
  EXPECT_EQ(local.info(0).fails, 0U);
}

TEST_F(FinalPass, EndsAtOnceWhenCancelled) {
  Gate never;
  service.setScript(
      [&](const HttpRequest&, HttpReply& reply) { reply.mayAnswer = never.untilOpen(); });
  options.merge = true;
  local.writeClusters(12);
  start();
  auto outcome = beginToFinish();
  ASSERT_TRUE(service.waitFor([&] { return never.waiting() == 10; }));
  uploader->cancel();
  const UploadOutcome ended = outcome.get();  // without time passing
  EXPECT_EQ(ended.status, ExitStatus::notUploaded);
  EXPECT_EQ(local.dirtyClusters(), 12U);
  EXPECT_EQ(status("state"), "cancelled");
  EXPECT_TRUE(service.asked("merge").empty());
  never.open();
}

TEST_F(FinalPass, EndsWhenCancelledThoughTheServerIsGone) {
  service.server().stop();
  local.writeClusters(3);
  start();
  auto outcome = beginToFinish();
  ASSERT_TRUE(service.waitFor([&] { return local.info(0).fails > 0; }));
  uploader->cancel();
  const UploadOutcome ended = outcome.get();
  EXPECT_EQ(ended.status, ExitStatus::notUploaded);
  EXPECT_EQ(local.dirtyClusters(), 3U);
}

TEST_F(FinalPass, DropsWhatLiesBeyondTheImage) {
  local.writeClusters(4);
  ASSERT_FALSE(local.session().setSizes(kClusterSize + 1, kClusterSize + 1));
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_EQ(service.bodies().size(), 2U);
  EXPECT_EQ(local.dirtyClusters(), 0U);
}

TEST_F(FinalPass, SendsWhatItDroppedWhenTheImageGrewInALaterRun) {
  local.writeClusters(4);
  ASSERT_FALSE(local.session().setSizes(kClusterSize, kClusterSize));
  ASSERT_EQ(finish().status, ExitStatus::done);
  ASSERT_EQ(service.bodies().size(), 1U);
  // As Image does.
  ASSERT_FALSE(local.session().zeroLocal(kClusterSize, 3 * kClusterSize));
  ASSERT_FALSE(local.session().setSizes(4 * kClusterSize, kClusterSize));
  uploader.reset();
  ASSERT_EQ(finish().status, ExitStatus::done);
  auto expected = local.expectedBodies();
  for (auto& [cluster, body] : expected) {
    std::fill(body.begin() + 40, body.end(), cluster == 0 ? body.back() : '\0');
  }
  EXPECT_TRUE(service.bodies() == expected);
}

TEST_F(FinalPass, LeavesAStatusWithTheUploadsOfEachCluster) {
  options.statusFile = true;
  local.writeClusters(3);
  ASSERT_EQ(finish().status, ExitStatus::done);
  local.write(1, 0, 1, 'q');
  uploader.reset();
  ASSERT_EQ(finish().status, ExitStatus::done);
  const std::string text = readTextFile(local.file("status"));
  EXPECT_NE(text.find("\nstate=done\n"), std::string::npos);
  EXPECT_NE(text.find("\ntotalClustersUploaded=1\n"), std::string::npos) << "since this start";
  EXPECT_NE(text.find("\n[BlockStats]\n1=2\n0=1\n2=1\n"), std::string::npos) << text;
}

TEST_F(FinalPass, OfALocalSessionOnlySaysSo) {
  options.prefix.reset();
  options.statusFile = true;
  local.writeClusters(2);
  start();
  EXPECT_EQ(finish().status, ExitStatus::done);
  const std::string text = readTextFile(local.file("status"));
  EXPECT_NE(text.find("\nstate=local\ninQueue=0\nmodifiedClusters=2\n"), std::string::npos) << text;
  EXPECT_TRUE(service.calls().empty());
  EXPECT_EQ(local.dirtyClusters(), 2U);
}

TEST_F(FinalPass, OfALocalSessionMayBeSilent) {
  Uploader silent(local.session(), UploadOptions{}, local.clock());
  silent.start();
  EXPECT_EQ(silent.finish().status, ExitStatus::done);
  EXPECT_THROW(static_cast<void>(readTextFile(local.file("status"))), std::system_error);
}

TEST(FinalPassWithoutAnUpload, IsRefused) {
  test::UploadingSession local("");
  UploadOptions options;
  options.prefix.emplace("localhost:5000");
  EXPECT_THROW(Uploader(local.session(), options, local.clock()), UserError);
}

}  // namespace
}  // namespace netcow
