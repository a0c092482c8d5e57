// SPDX-License-Identifier: Apache-2.0
// What the uploader does while the image is mounted.
#include <spdlog/spdlog.h>

#include "base/whole_io.h"
#include "support/captured_log.h"
#include "upload/uploader_fixture.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;
using test::FakeUploadService;
using test::Gate;
using test::HttpReply;
using test::HttpRequest;
using BackgroundUpload = test::UploaderTest;

TEST_F(BackgroundUpload, SendsAClusterAMinuteAfterItsLastChange) {
  local.write(3, 5, 2, 'a');
  start();
  passTime(30s);
  local.write(3, 9, 1, 'b');
  passTime(45s);  // the first change is old enough now, the last one is not
  EXPECT_TRUE(service.asked("update").empty());
  EXPECT_EQ(status("modifiedClusters"), "1");
  passTime(10s);
  ASSERT_TRUE(service.waitFor([&] { return local.info(3).uploads == 1; }));
  passTime(5s);
  EXPECT_TRUE(service.bodies() == local.expectedBodies());
  EXPECT_EQ(service.asked("update").size(), 1U);
  EXPECT_EQ(status("totalClustersUploaded"), "1");
  EXPECT_EQ(status("idleClusters"), "1");
}

TEST_F(BackgroundUpload, SendsWhatTheServerExpects) {
  local.fill(7, 'x');
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return service.taken("update").size() == 1; }));
  const HttpRequest request = service.taken("update").at(0);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/v1/file/update");
  EXPECT_EQ(request.value("uuid"), FakeUploadService::kUuid);
  EXPECT_EQ(request.value("clusterindex"), "7");
  EXPECT_EQ(request.headers.at("content-type"), "application/octet-stream");
  EXPECT_EQ(request.headers.at("content-length"), "1310760");
  EXPECT_EQ(request.headers.at("expect"), "100-continue");
  EXPECT_EQ(request.headers.at("accept"), "*/*");
  EXPECT_FALSE(request.headers.contains("transfer-encoding"));
}

TEST_F(BackgroundUpload, SendsAlsoToAServerThatNeverSaysContinue) {
  service.setScript([](const HttpRequest&, HttpReply& reply) { reply.sendContinue = false; });
  local.fill(0, 'x');
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return service.bodies().size() == 1; }));
  EXPECT_TRUE(service.bodies() == local.expectedBodies());
}

TEST_F(BackgroundUpload, SendsTwoClustersAtATime) {
  Gate gate;
  service.setScript(
      [&](const HttpRequest&, HttpReply& reply) { reply.mayAnswer = gate.untilOpen(); });
  local.writeClusters(5);
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return gate.waiting() == 2; }));
  passTime(60s);
  EXPECT_EQ(gate.waiting(), 2);
  EXPECT_EQ(status("activeUploads"), "2");
  EXPECT_EQ(status("inQueue"), "5");
  gate.open();
  ASSERT_TRUE(service.waitFor([&] { return service.bodies().size() == 5; }));
}

TEST_F(BackgroundUpload, KeepsItsConnections) {
  local.writeClusters(20);
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return service.bodies().size() == 20; }));
  EXPECT_LE(service.server().connections(), 2U);
}

TEST_F(BackgroundUpload, SendsAClusterAgainThatChangedMeanwhile) {
  Gate gate;
  service.setScript(
      [&](const HttpRequest&, HttpReply& reply) { reply.mayAnswer = gate.untilOpen(); });
  local.write(1, 0, 1, 'a');
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return service.taken("update").size() == 1; }));
  local.write(1, 0, 1, 'b');
  gate.open();
  ASSERT_TRUE(service.waitFor([&] { return local.dirtyClusters() == 1; }));
  EXPECT_FALSE(service.bodies() == local.expectedBodies());
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return service.taken("update").size() == 2; }));
  EXPECT_TRUE(service.bodies() == local.expectedBodies());
}

TEST_F(BackgroundUpload, PausesAsLongAsTheServerAsks) {
  failFirst("update", 1, [](HttpReply& reply) {
    reply.status = 503;
    reply.headers = {"rEtRy-AfTeR: 100"};
  });
  local.write(0, 0, 1, 'a');
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return local.dirtyClusters() == 1; }));
  local.write(1, 0, 1, 'b');
  passTime(80s);
  EXPECT_EQ(service.asked("update").size(), 1U);
  EXPECT_EQ(local.info(0).fails, 0U) << "a pause asked for is no failure";
  passTime(30s);
  ASSERT_TRUE(service.waitFor([&] { return service.bodies().size() == 2; }));
}

TEST_F(BackgroundUpload, PausesAfterASuccessToo) {
  failFirst("update", 1, [](HttpReply& reply) { reply.headers = {"Retry-After: 100"}; });
  local.write(0, 0, 1, 'a');
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return local.info(0).uploads == 1; }));
  local.write(1, 0, 1, 'b');
  passTime(75s);
  EXPECT_EQ(service.asked("update").size(), 1U);
  passTime(30s);
  ASSERT_TRUE(service.waitFor([&] { return service.bodies().size() == 2; }));
}

TEST_F(BackgroundUpload, IgnoresAPauseGivenAsADate) {
  failFirst("update", 1, [](HttpReply& reply) {
    reply.status = 503;
    reply.headers = {"Retry-After: Fri, 31 Dec 2100 23:59:59 GMT"};
  });
  local.write(0, 0, 1, 'a');
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return local.info(0).fails == 1; }));
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return service.bodies().size() == 1; }));
}

TEST_F(BackgroundUpload, TriesAFailedClusterAgainAfterAMinute) {
  failFirst("update", 2, [](HttpReply& reply) { reply.status = 500; });
  local.write(0, 0, 1, 'a');
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return local.info(0).fails == 1; }));
  passTime(40s);
  EXPECT_EQ(service.asked("update").size(), 1U);
  EXPECT_EQ(status("inQueue"), "1");
  passTime(15s);
  ASSERT_TRUE(service.waitFor([&] { return local.info(0).fails == 2; }));
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return local.info(0).uploads == 1; }));
  EXPECT_EQ(local.info(0).fails, 0U);
  EXPECT_EQ(service.asked("update").size(), 3U);
}

TEST_F(BackgroundUpload, StopsWhenTheServerDoesNotKnowTheSession) {
  failFirst("update", 1, [](HttpReply& reply) {
    reply.status = 404;
    reply.body = "Session not found";
  });
  local.write(0, 0, 1, 'a');
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return local.dirtyClusters() == 1; }));
  passTime(10s);
  EXPECT_EQ(status("state"), "failed");
  passTime(300s);
  EXPECT_EQ(service.asked("update").size(), 1U);
  // A server that has found it again gets everything in the end.
  EXPECT_EQ(finish().status, ExitStatus::done);
  expectServerHasEverything();
}

TEST_F(BackgroundUpload, SendsNothingNewOnceToldSo) {
  Gate gate;
  service.setScript(
      [&](const HttpRequest&, HttpReply& reply) { reply.mayAnswer = gate.untilOpen(); });
  options.merge = true;
  local.writeClusters(4);
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return gate.waiting() == 2; }));
  uploader->setNoNewUploads();
  gate.open();
  ASSERT_TRUE(service.waitFor([&] { return service.bodies().size() == 2; }));
  passTime(120s);
  const UploadOutcome outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::notUploaded);
  EXPECT_NE(outcome.message.find("2 clusters are not uploaded"), std::string::npos)
      << outcome.message;
  EXPECT_EQ(local.dirtyClusters(), 2U);
  EXPECT_EQ(service.asked("update").size(), 2U);
  EXPECT_TRUE(service.asked("merge").empty());
  EXPECT_EQ(status("state"), "cancelled");
}

TEST_F(BackgroundUpload, KeepsAStatusFile) {
  options.statusFile = true;
  local.writeClusters(2);
  uploader = std::make_unique<Uploader>(local.session(), options, local.clock());
  EXPECT_NE(readTextFile(local.file("status")).find("state=active\n"), std::string::npos);
  uploader->start();
  passTime(60s);
  ASSERT_TRUE(
      service.waitFor([&] { return local.info(0).uploads == 1 && local.info(1).uploads == 1; }));
  passTime(5s);
  const std::string text = readTextFile(local.file("status.txt"));
  EXPECT_EQ(text.substr(0, 10), "[General]\n");
  EXPECT_NE(text.find("state=backgroundUpload\n"), std::string::npos);
  EXPECT_NE(text.find("totalClustersUploaded=2\n"), std::string::npos);
}

TEST_F(BackgroundUpload, SendsWorkAtOnceThatNeedNotGrowOld) {
  options.rules.minAge = 0s;
  const auto begin = std::chrono::steady_clock::now();
  start();
  for (std::uint64_t cluster = 0; cluster < 5; ++cluster) {
    local.write(cluster, 0, 1, 'a');
    // Neither a report, which comes with the time, nor a look every five seconds brings this about.
    ASSERT_TRUE(service.waitFor([&] { return local.info(cluster).uploads == 1; }));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s) << "five looks take 25";
  expectServerHasEverything();
}

TEST_F(BackgroundUpload, SaysInTwoLinesThatTheServerWasAway) {
  const test::CapturedLog log;
  failFirst("update", 20, [](HttpReply& reply) { reply.status = 500; });
  local.writeClusters(10);
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return local.info(0).fails == 1; }));
  EXPECT_EQ(finish().status, ExitStatus::done);
  expectServerHasEverything();
  uploader.reset();
  EXPECT_EQ(log.lines("fail, and are tried until they pass: "), 1);
  EXPECT_EQ(log.lines("10 clusters are not uploaded"), 1);
  EXPECT_EQ(log.lines("takes uploads again"), 1);
  EXPECT_LE(log.lines("[warning]"), 4) << "one a minute at most";
}

TEST_F(BackgroundUpload, DoesNotSendWhatLiesBeyondTheImage) {
  local.writeClusters(4);
  ASSERT_FALSE(local.session().setSizes(kClusterSize + 1, kClusterSize + 1));
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return service.bodies().size() == 2; }));
  passTime(120s);
  EXPECT_EQ(service.asked("update").size(), 2U);
  // Growing again makes them count again.
  ASSERT_FALSE(local.session().setSizes(4 * kClusterSize, kClusterSize + 1));
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return service.bodies().size() == 4; }));
}

}  // namespace
}  // namespace netcow
