// SPDX-License-Identifier: Apache-2.0
// How requests travel: with which token, how fast, for how long, and where they do not go.
#include <gmock/gmock.h>

#include <filesystem>

#include "base/whole_io.h"
#include "upload/uploader_fixture.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;
using test::Gate;
using test::HttpReply;
using test::HttpRequest;
using testing::HasSubstr;
using testing::Not;
using Transfer = test::UploaderTest;

TEST_F(Transfer, CarriesTheTokenOnEveryRequest) {
  const std::string file = local.file("../token-of-this-test");
  replaceTextFile(file, "s3cret\n", false);
  options.access = UploadAccess(file, "");
  options.merge = true;
  local.writeClusters(3);
  service.setScript([&](const HttpRequest& request, HttpReply& reply) {
    const auto sent = request.headers.find("authorization");
    if (sent == request.headers.end() || sent->second != "Bearer s3cret") {
      reply.status = 401;
    }
  });
  const UploadOutcome outcome = finish();
  std::filesystem::remove(file);
  EXPECT_EQ(outcome.status, ExitStatus::done) << outcome.message;
  EXPECT_EQ(service.calls().size(), 5U) << "three updates, merge, status";
  expectServerHasEverything();
}

TEST_F(Transfer, SaysWhatToDoWhenTheServerWantsAToken) {
  options.merge = true;
  service.setScript([](const HttpRequest&, HttpReply& reply) { reply.status = 401; });
  local.writeClusters(1);
  const UploadOutcome outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::notUploaded);
  EXPECT_THAT(outcome.message, HasSubstr("HTTP 401; it wants to know who asks"));
  EXPECT_THAT(outcome.message, HasSubstr("--token-file"));
}

TEST_F(Transfer, SaysWhatToDoWhenOnlyTheMergeIsNotAllowed) {
  options.merge = true;
  failFirst("merge", 1, [](HttpReply& reply) { reply.status = 403; });
  local.writeClusters(1);
  const UploadOutcome outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::notMerged);
  EXPECT_THAT(outcome.message, HasSubstr("--token-file"));
}

TEST_F(Transfer, DoesNotFollowARedirect) {
  const std::string elsewhere = "http://127.0.0.1:1/v1/file/update";
  service.setScript([&](const HttpRequest&, HttpReply& reply) {
    reply.status = 307;
    reply.headers = {"Location: " + elsewhere};
  });
  local.fill(0, 'x');
  const UploadOutcome outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::notUploaded);
  EXPECT_THAT(outcome.message, HasSubstr("it sends to " + elsewhere));
  EXPECT_EQ(service.asked("update").size(), 1U);
}

TEST_F(Transfer, KeepsToItsLimitWithAllUploadsTogether) {
  constexpr std::uint64_t kRate = 512 * 1024;
  options.rules.bytesPerSecond = kRate;
  options.rules.parallelFinal = 4;
  for (std::uint64_t cluster = 0; cluster < 6; ++cluster) {
    local.fill(cluster, 'x');
  }
  const auto before = local.clock().now();
  std::atomic<std::uint64_t> arrived = 0;
  std::atomic<bool> tooFast = false;
  service.setScript([&](const HttpRequest&, HttpReply& reply) {
    reply.mayAnswer = [&] {
      const std::chrono::duration<double> passed = local.clock().now() - before;
      arrived += kClusterSize;
      // What is saved up for a tenth of a second, and a portion.
      tooFast = tooFast ||
                static_cast<double>(arrived) > passed.count() * kRate + kRate / 10 + kRate / 20;
      return true;
    };
  });
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_FALSE(tooFast);
  EXPECT_GE(local.clock().now() - before, std::chrono::seconds(6 * kClusterSize / kRate));
  expectServerHasEverything();
}

TEST_F(Transfer, LetsEveryUploadHaveItsTurnUnderALimit) {
  options.rules.bytesPerSecond = 4 * 64 * 1024;
  options.rules.parallelFinal = 4;
  for (std::uint64_t cluster = 0; cluster < 4; ++cluster) {
    local.fill(cluster, 'x');
  }
  std::atomic<int> begun = 0;
  std::atomic<bool> allBegan = true;
  service.setScript([&](const HttpRequest&, HttpReply& reply) {
    ++begun;
    // When the first one is through, the others are on their way.
    reply.mayAnswer = [&] {
      allBegan = allBegan && begun == 4;
      return true;
    };
  });
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_TRUE(allBegan);
}

TEST_F(Transfer, TakesAsManyAtATimeAsItIsTold) {
  options.rules.parallelFinal = 3;
  Gate gate;
  service.setScript(
      [&](const HttpRequest&, HttpReply& reply) { reply.mayAnswer = gate.untilOpen(); });
  local.writeClusters(10);
  start();
  auto outcome = beginToFinish();
  ASSERT_TRUE(service.waitFor([&] { return gate.waiting() == 3; }));
  passTime(10s);
  EXPECT_EQ(gate.waiting(), 3);
  gate.open();
  EXPECT_EQ(waitForEnd(outcome).status, ExitStatus::done);
}

TEST_F(Transfer, EndsWhenItsTimeIsOver) {
  options.rules.finalTimeout = 30s;
  options.merge = true;
  service.setScript([](const HttpRequest&, HttpReply& reply) { reply.status = 503; });
  local.writeClusters(3);
  const auto before = local.clock().now();
  const UploadOutcome outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::notUploaded);
  EXPECT_THAT(outcome.message,
              HasSubstr("the 30 seconds of --upload-timeout are over: 3 clusters"));
  EXPECT_GE(local.clock().now() - before, 30s);
  EXPECT_EQ(local.dirtyClusters(), 3U);
  EXPECT_TRUE(service.asked("merge").empty());
  EXPECT_EQ(status("state"), "failed");
}

TEST_F(Transfer, EndsWhenItsTimeIsOverThoughTheServerNeverAnswers) {
  options.rules.finalTimeout = 30s;
  service.setScript(
      [](const HttpRequest&, HttpReply& reply) { reply.fault = HttpReply::Fault::neverAnswer; });
  local.writeClusters(3);
  EXPECT_EQ(finish().status, ExitStatus::notUploaded);
  EXPECT_EQ(local.dirtyClusters(), 3U);
}

TEST_F(Transfer, IsOnlyNotMergedWhenItsTimeIsOverAfterTheLastCluster) {
  options.rules.finalTimeout = 30s;
  options.merge = true;
  failFirst("merge", 1000, [](HttpReply& reply) { reply.status = 500; });
  local.writeClusters(3);
  const UploadOutcome outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::notMerged);
  EXPECT_THAT(outcome.message, HasSubstr("--upload-timeout"));
  expectServerHasEverything();
}

TEST_F(Transfer, HasAllTheTimeItTakesToGetEverythingThrough) {
  options.rules.finalTimeout = 10'000s;
  failFirst("update", 5, [](HttpReply& reply) { reply.status = 500; });
  local.writeClusters(3);
  EXPECT_EQ(finish().status, ExitStatus::done);
  expectServerHasEverything();
}

}  // namespace
}  // namespace netcow
