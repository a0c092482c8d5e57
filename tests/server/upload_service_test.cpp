// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/upload_service.h"

#include <gmock/gmock.h>

#include <thread>

#include "server/upload_service_fixture.h"
#include "support/captured_log.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::ClusterContent;
using test::UploadServiceTest;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(UploadServiceTest, TellsWhatANewUploadIs) {
  const std::string uuid = service_->create({"win", 1});
  EXPECT_THAT(uuid, testing::MatchesRegex("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"));
  const UploadRecord record = service_->status(uuid);
  EXPECT_EQ(record.state, UploadState::active);
  EXPECT_EQ(record.base, (ImageName{"win", 1}));
  EXPECT_EQ(record.baseSize, kBaseSize);
}

TEST_F(UploadServiceTest, MergesWhatWasSent) {
  const std::string uuid = service_->create({"win", 1});
  send(uuid, 0, randomCluster(random_, {0, 1, 319}));
  send(uuid, 2, randomCluster(random_, {17}));
  service_->merge(uuid, {kBaseSize, kBaseSize});
  const UploadRecord record = waitForEnd(uuid);
  EXPECT_EQ(record.state, UploadState::done);
  EXPECT_EQ(record.newRevision, 2);
  EXPECT_EQ(record.mergedClusters, 2U);
  EXPECT_EQ(record.totalClusters, 2U);
  EXPECT_EQ(test::readFile(images_ / "win.r2"),
            test::expectedImage(base_, kBaseSize, kBaseSize, sent_));
  EXPECT_EQ(test::readFile(images_ / "win.r1"), base_);
}

TEST_F(UploadServiceTest, LetsTheNewestUpdateOfAClusterReplaceTheOneBefore) {
  const std::string uuid = service_->create({"win", 1});
  send(uuid, 1, randomCluster(random_, {1, 2, 3}));
  send(uuid, 1, randomCluster(random_, {2, 5}));  // 1 and 3 are the base's again
  service_->merge(uuid, {kBaseSize, kBaseSize});
  waitForEnd(uuid);
  EXPECT_EQ(test::readFile(images_ / "win.r2"),
            test::expectedImage(base_, kBaseSize, kBaseSize, sent_));
}

TEST_F(UploadServiceTest, MergesAnUploadWithoutChanges) {
  const std::string uuid = service_->create({"win", 1});
  service_->merge(uuid, {kBaseSize, kBaseSize});
  EXPECT_EQ(waitForEnd(uuid).state, UploadState::done);
  EXPECT_EQ(test::readFile(images_ / "win.r2"), base_);
}

TEST_F(UploadServiceTest, GoesOnWithEverythingAfterItWasKilled) {
  const std::string uuid = service_->create({"win", 1});
  send(uuid, 0, randomCluster(random_, {4, 5}));
  restart();
  EXPECT_EQ(service_->status(uuid).state, UploadState::active);
  send(uuid, 1, randomCluster(random_, {6}));
  restart();
  service_->merge(uuid, {kBaseSize, kBaseSize});
  restart();
  EXPECT_EQ(waitForEnd(uuid).state, UploadState::done);
  EXPECT_EQ(test::readFile(images_ / "win.r2"),
            test::expectedImage(base_, kBaseSize, kBaseSize, sent_));
  EXPECT_FALSE(fs::exists(images_ / "win.r3"));
  restart();
  EXPECT_EQ(service_->status(uuid).state, UploadState::done);
  EXPECT_EQ(service_->status(uuid).newRevision, 2);
}

TEST_F(UploadServiceTest, KnowsAfterAKillWhatAnUploadHoldsBeforeAnyClientComesBack) {
  const test::CapturedLog log;
  const std::string uuid = service_->create({"win", 1});
  send(uuid, 0, randomCluster(random_, {4, 5}));
  send(uuid, 2, randomCluster(random_, {6}));
  restart();
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (service_->status(uuid).totalClusters != 2) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  service_->stop();
  EXPECT_EQ(log.lines(uuid), 0);  // whoever knows it may change the upload
  EXPECT_EQ(log.lines(uuid.substr(0, 8) + "... of a killed process"), 1)
      << "the session was recovered";
}

TEST_F(UploadServiceTest, GoesOnAfterACleanEnd) {
  const std::string uuid = service_->create({"win", 1});
  send(uuid, 0, randomCluster(random_, {4, 5}));
  service_->stop();
  EXPECT_FALSE(fs::exists(state_ / uuid / "live"));
  restart();
  service_->merge(uuid, {kBaseSize, kBaseSize});
  EXPECT_EQ(waitForEnd(uuid).state, UploadState::done);
  EXPECT_EQ(test::readFile(images_ / "win.r2"),
            test::expectedImage(base_, kBaseSize, kBaseSize, sent_));
}

TEST_F(UploadServiceTest, RemovesTheSessionOfAMergedUpload) {
  const std::string uuid = service_->create({"win", 1});
  EXPECT_TRUE(fs::exists(state_ / uuid));
  service_->merge(uuid, {kBaseSize, kBaseSize});
  waitForEnd(uuid);
  service_->stop();  // it is removed behind the change of state
  EXPECT_FALSE(fs::exists(state_ / uuid));
  restart();
  EXPECT_EQ(service_->status(uuid).state, UploadState::done);
  EXPECT_THAT(service_->mostUpdated(uuid, 5), IsEmpty());
}

TEST_F(UploadServiceTest, RemovesAtTheStartWhatNoClientKnowsOrNeeds) {
  const std::string done = service_->create({"win", 1});
  service_->merge(done, {kBaseSize, kBaseSize});
  waitForEnd(done);
  service_.reset();
  UploadRecord half;
  half.uuid = "0b5b3b3a-0000-4000-8000-000000000000";
  half.base = {"win", 1};
  Registry(state_ / "registry.sqlite").save(half);  // killed while it was made
  fs::create_directory(state_ / half.uuid);
  fs::create_directory(state_ / done);  // killed before it was removed
  start();
  EXPECT_FALSE(fs::exists(state_ / half.uuid));
  EXPECT_FALSE(fs::exists(state_ / done));
  EXPECT_THAT(service_->list(), SizeIs(1));
}

TEST_F(UploadServiceTest, CountsHowOftenAClusterWasSent) {
  const std::string uuid = service_->create({"win", 1});
  for (const std::uint64_t cluster : std::initializer_list<std::uint64_t>{2, 0, 2, 1, 2, 0}) {
    send(uuid, cluster, randomCluster(random_, {1}));
  }
  restart();
  const auto numbers = [&](std::uint64_t amount) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs;
    for (const auto& entry : service_->mostUpdated(uuid, amount)) {
      pairs.emplace_back(entry.cluster, entry.updates);
    }
    return pairs;
  };
  EXPECT_THAT(numbers(10), ElementsAre(std::pair(2, 3), std::pair(0, 2), std::pair(1, 1)));
  EXPECT_THAT(numbers(1), ElementsAre(std::pair(2, 3)));
  EXPECT_THAT(numbers(0), IsEmpty());
}

TEST_F(UploadServiceTest, TakesNoClustersOnceAMergeWasAccepted) {
  const std::string uuid = service_->create({"win", 1});
  service_->merge(uuid, {kBaseSize, kBaseSize});
  const auto late = [&] { send(uuid, 0, randomCluster(random_, {1})); };
  EXPECT_EQ(refusalOf(late), Refusal::Kind::conflict);
  waitForEnd(uuid);
  EXPECT_EQ(refusalOf(late), Refusal::Kind::conflict);
  EXPECT_EQ(test::readFile(images_ / "win.r2"), base_);
}

TEST_F(UploadServiceTest, TakesTheSameMergeAgainButNoOther) {
  const std::string uuid = service_->create({"win", 1});
  const MergeSizes sizes = {kBaseSize, kBaseSize - 4096};
  service_->merge(uuid, sizes);
  for (int i = 0; i < 2; ++i) {
    EXPECT_NO_THROW(service_->merge(uuid, sizes));
    EXPECT_EQ(refusalOf([&] { service_->merge(uuid, {kBaseSize, kBaseSize}); }),
              Refusal::Kind::conflict);
    waitForEnd(uuid);
  }
  EXPECT_FALSE(fs::exists(images_ / "win.r3"));
}

TEST_F(UploadServiceTest, RefusesSizesOutOfRange) {
  const std::string uuid = service_->create({"win", 1});
  for (const MergeSizes sizes :
       {MergeSizes{kBaseSize + 1, kBaseSize + 1}, MergeSizes{0, 0},
        MergeSizes{0, 17'592'186'044'417}, MergeSizes{0, ~0ULL}, MergeSizes{~0ULL, kBaseSize}}) {
    EXPECT_EQ(refusalOf([&] { service_->merge(uuid, sizes); }), Refusal::Kind::badRequest);
  }
  EXPECT_EQ(service_->status(uuid).state, UploadState::active);
}

TEST_F(UploadServiceTest, RefusesClustersBeyondTheLargestImage) {
  const std::string uuid = service_->create({"win", 1});
  // 16 TiB, which any client's image may have, end in cluster 13 421 772.
  EXPECT_NO_THROW(send(uuid, 13'421'772, randomCluster(random_, {0})));
  for (const std::uint64_t cluster : {std::uint64_t{13'421'773}, ~std::uint64_t{0}}) {
    EXPECT_EQ(refusalOf([&] { send(uuid, cluster, randomCluster(random_, {0})); }),
              Refusal::Kind::badRequest);
  }
}

TEST_F(UploadServiceTest, TellsWhatItDoesInFigures) {
  const std::string uuid = service_->create({"win", 1}, "lab 7");
  EXPECT_EQ(service_->status(uuid).owner, "lab 7");
  service_->create({"win", 1});
  send(uuid, 0, randomCluster(random_, {0}));
  send(uuid, 1, randomCluster(random_, {0, 1}));
  const UploadFigures figures = service_->figures();
  EXPECT_EQ(figures.sessions.at(UploadState::active), 2U);
  EXPECT_EQ(figures.sessions.at(UploadState::expired), 0U);
  EXPECT_EQ(figures.counts.updates, 2U);
  EXPECT_EQ(figures.counts.updateBytes, 2U * 40 + 3U * 4096);
  EXPECT_EQ(figures.counts.latencies.count, 2U);
  EXPECT_GT(figures.freeBytes, 0U);
}

TEST_F(UploadServiceTest, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(refusalOf([&] { service_->create({"win", 2}); }), Refusal::Kind::notFound);
  EXPECT_EQ(refusalOf([&] { service_->create({"../images/win", 1}); }), Refusal::Kind::notFound);
  for (const std::string uuid : {"", "..", "../state", "nobody"}) {
    EXPECT_EQ(refusalOf([&] { send(uuid, 0, {}); }), Refusal::Kind::notFound);
    EXPECT_EQ(refusalOf([&] { service_->merge(uuid, {1, 1}); }), Refusal::Kind::notFound);
    EXPECT_EQ(refusalOf([&] { static_cast<void>(service_->status(uuid)); }),
              Refusal::Kind::notFound);
    EXPECT_EQ(refusalOf([&] { static_cast<void>(service_->mostUpdated(uuid, 1)); }),
              Refusal::Kind::notFound);
  }
}

TEST_F(UploadServiceTest, TakesClustersFromManyClientsAtOnce) {
  const std::string one = service_->create({"win", 1});
  const std::string two = service_->create({"win", 1});
  const ClusterContent content = randomCluster(random_, {0, 100, 319});
  std::vector<std::jthread> clients;
  for (std::uint64_t cluster = 0; cluster < 3; ++cluster) {
    for (const std::string* uuid : {&one, &two}) {
      clients.emplace_back(
          [this, uuid, cluster, &content] { update(*uuid, cluster, ++sequence_, content); });
    }
    sent_[cluster] = content;
  }
  clients.clear();
  for (const std::string& uuid : {one, two}) {
    service_->merge(uuid, {kBaseSize, kBaseSize});
    waitForEnd(uuid);
  }
  const Bytes expected = test::expectedImage(base_, kBaseSize, kBaseSize, sent_);
  EXPECT_EQ(test::readFile(images_ / "win.r2"), expected);
  EXPECT_EQ(test::readFile(images_ / "win.r3"), expected);
}

}  // namespace
}  // namespace netcow
