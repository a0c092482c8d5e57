// SPDX-License-Identifier: Apache-2.0
// How uploads end without a merge, and how they go on after one that was cancelled.
#include <gmock/gmock.h>

#include "server/upload_service_fixture.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::ClusterContent;
using test::UploadServiceTest;
using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr auto kDay = std::chrono::hours(24);

class UploadLifeTest : public UploadServiceTest {
 protected:
  static constexpr MergeSizes kSizes = {kBaseSize, kBaseSize};

  UploadState stateOf(const std::string& uuid) { return service_->status(uuid).state; }
  Bytes newImage(std::uint16_t revision) {
    return test::readFile(images_ / ("win.r" + std::to_string(revision)));
  }
  Bytes expected() { return test::expectedImage(base_, kBaseSize, kBaseSize, sent_); }
  /// As if the server was killed with this in the registry.
  void restartWith(const std::string& uuid, const std::function<void(UploadRecord&)>& change) {
    UploadRecord record = service_->status(uuid);
    service_.reset();
    change(record);
    Registry(state_ / "registry.sqlite").save(record);
    start();
  }
  std::string hiddenImage(const std::string& uuid) {
    return images_ / (".netcow-merge-" + uuid + "-" + std::to_string(kBaseSize) + "-" +
                      std::to_string(kBaseSize));
  }
};

TEST_F(UploadLifeTest, AnOlderUpdateThatArrivesLateReplacesNothing) {
  const std::string uuid = service_->create({"win", 1});
  const ClusterContent older = randomCluster(random_, {1, 2, 3});
  const ClusterContent newer = randomCluster(random_, {2, 5});
  update(uuid, 1, 20, newer);
  update(uuid, 1, 10, older);  // its header came first, its end later
  update(uuid, 2, 10, older);  // another cluster has an order of its own
  update(uuid, 2, 20, newer);
  update(uuid, 0, 30, older);
  update(uuid, 0, 30, older);  // the same once more is no older one
  EXPECT_EQ(service_->figures().counts.supersededUpdates, 1U);
  service_->merge(uuid, kSizes);
  waitForEnd(uuid);
  sent_ = {{0, older}, {1, newer}, {2, newer}};
  EXPECT_EQ(newImage(2), expected());
}

TEST_F(UploadLifeTest, OfManyUpdatesOfOneClusterAtOnceTheNewestIsKept) {
  const std::string uuid = service_->create({"win", 1});
  constexpr std::uint64_t kUpdates = 64;
  std::vector<ClusterContent> contents;
  for (std::uint64_t i = 0; i < kUpdates; ++i) {
    contents.push_back(randomCluster(random_, {i % 7, 10 + i, 300}));
  }
  std::vector<std::jthread> clients;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    clients.emplace_back([&, thread] {
      for (std::uint64_t i = 0; i < kUpdates / 4; ++i) {
        const std::uint64_t number = (i * 4 + thread) * 37 % kUpdates;  // in no order
        update(uuid, 1, number, contents[number]);
      }
    });
  }
  clients.clear();
  service_->merge(uuid, kSizes);
  waitForEnd(uuid);
  sent_ = {{1, contents[kUpdates - 1]}};
  EXPECT_EQ(newImage(2), expected());
}

TEST_F(UploadLifeTest, ADeletedUploadIsGoneButForItsRecord) {
  const std::string uuid = service_->create({"win", 1}, "lab 7");
  send(uuid, 0, randomCluster(random_, {1}));
  service_->remove(uuid);
  EXPECT_FALSE(fs::exists(state_ / uuid));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(stateOf(uuid), UploadState::deleted);
    EXPECT_EQ(service_->status(uuid).updates, 1U);
    EXPECT_EQ(service_->status(uuid).owner, "lab 7");
    const auto late = [&] { send(uuid, 1, randomCluster(random_, {1})); };
    EXPECT_EQ(refusalOf(late), Refusal::Kind::notFound);
    EXPECT_EQ(refusalOf([&] { service_->merge(uuid, kSizes); }), Refusal::Kind::notFound);
    EXPECT_EQ(refusalOf([&] { service_->cancel(uuid); }), Refusal::Kind::notFound);
    EXPECT_EQ(refusalOf([&] { service_->remove(uuid); }), Refusal::Kind::notFound);
    EXPECT_TRUE(service_->mostUpdated(uuid, 5).empty());
    restart();
  }
}

TEST_F(UploadLifeTest, ADeletionThatAKillCutShortIsFinished) {
  const std::string uuid = service_->create({"win", 1});
  send(uuid, 0, randomCluster(random_, {1}));
  restartWith(uuid, [](UploadRecord& record) { record.state = UploadState::deleted; });
  EXPECT_FALSE(fs::exists(state_ / uuid));
  EXPECT_EQ(stateOf(uuid), UploadState::deleted);
}

TEST_F(UploadLifeTest, AMergedUploadCannotBeDeletedOrCancelled) {
  const std::string uuid = service_->create({"win", 1});
  service_->merge(uuid, kSizes);
  waitForEnd(uuid);
  EXPECT_EQ(refusalOf([&] { service_->remove(uuid); }), Refusal::Kind::conflict);
  EXPECT_EQ(refusalOf([&] { service_->cancel(uuid); }), Refusal::Kind::conflict);
  EXPECT_EQ(newImage(2), base_);
}

TEST_F(UploadLifeTest, WithoutAMergeThereIsNothingToCancel) {
  const std::string uuid = service_->create({"win", 1});
  EXPECT_EQ(refusalOf([&] { service_->cancel(uuid); }), Refusal::Kind::conflict);
  EXPECT_EQ(refusalOf([&] { service_->cancel("nobody"); }), Refusal::Kind::notFound);
}

TEST_F(UploadLifeTest, ACancelThatAKillCutShortIsFinishedAndTheUploadGoesOn) {
  const std::string uuid = service_->create({"win", 1});
  send(uuid, 0, randomCluster(random_, {1}));
  test::writeFile(hiddenImage(uuid), base_);  // the merge was nearly through: without cluster 1
  restartWith(uuid, [](UploadRecord& record) {
    record.state = UploadState::merging;
    record.sizes = kSizes;
    record.cancelRequested = true;
  });
  EXPECT_EQ(waitForEnd(uuid).state, UploadState::active);
  EXPECT_THAT(service_->status(uuid).message, HasSubstr("cancelled"));
  EXPECT_FALSE(service_->status(uuid).cancelRequested);
  EXPECT_FALSE(fs::exists(hiddenImage(uuid)));
  EXPECT_FALSE(fs::exists(images_ / "win.r2"));
  send(uuid, 1, randomCluster(random_, {2}));
  service_->merge(uuid, kSizes);
  EXPECT_EQ(waitForEnd(uuid).state, UploadState::done);
  EXPECT_EQ(newImage(2), expected());
  EXPECT_EQ(service_->figures().counts.mergesCancelled, 1U);
  EXPECT_EQ(service_->figures().counts.mergesDone, 1U);
}

TEST_F(UploadLifeTest, ACancelThatComesTooLateTakesNothingBack) {
  const std::string uuid = service_->create({"win", 1});
  test::writeFile(images_ / "win.r2", base_);  // published, and then killed
  restartWith(uuid, [](UploadRecord& record) {
    record.state = UploadState::merging;
    record.sizes = kSizes;
    record.newRevision = 2;
    record.cancelRequested = true;
  });
  EXPECT_EQ(waitForEnd(uuid).state, UploadState::done);
  EXPECT_EQ(newImage(2), base_);
}

TEST_F(UploadLifeTest, WhatAFailedMergeLeftBehindGoesWithTheUpload) {
  const std::string uuid = service_->create({"win", 1});
  restartWith(uuid, [&](UploadRecord& record) {
    record.state = UploadState::failed;
    record.sizes = kSizes;
    test::writeFile(hiddenImage(uuid), base_);
  });
  EXPECT_FALSE(fs::exists(hiddenImage(uuid)));
}

class UploadExpiryTest : public UploadLifeTest {
 protected:
  UploadExpiryTest() {
    options_.sessionTtl = 7 * kDay;
    restart();
  }
  void keepHouseAfter(std::chrono::nanoseconds time) {
    clock_.advance(time);
    service_->keepHouse();
  }
};

TEST_F(UploadExpiryTest, AnUploadThatNobodyChangesExpires) {
  const std::string uuid = service_->create({"win", 1});
  keepHouseAfter(7 * kDay);
  EXPECT_EQ(stateOf(uuid), UploadState::active);
  keepHouseAfter(1s);
  EXPECT_EQ(stateOf(uuid), UploadState::expired);
  EXPECT_FALSE(fs::exists(state_ / uuid));
  EXPECT_EQ(refusalOf([&] { send(uuid, 1, randomCluster(random_, {1})); }),
            Refusal::Kind::notFound);
  restart();
  EXPECT_EQ(stateOf(uuid), UploadState::expired);
}

TEST_F(UploadExpiryTest, EachUpdateIsALifeSign) {
  const std::string uuid = service_->create({"win", 1});
  for (int i = 0; i < 4; ++i) {
    clock_.advance(6 * kDay);
    send(uuid, 0, randomCluster(random_, {1}));
    service_->keepHouse();
    EXPECT_EQ(stateOf(uuid), UploadState::active);
  }
  keepHouseAfter(7 * kDay + 1s);
  EXPECT_EQ(stateOf(uuid), UploadState::expired);
}

TEST_F(UploadExpiryTest, AfterAStartClientsGetAnHour) {
  const std::string uuid = service_->create({"win", 1});
  service_.reset();
  clock_.advance(100 * kDay);  // switched off over the holidays
  start();
  keepHouseAfter(1h);
  EXPECT_EQ(stateOf(uuid), UploadState::active);
  send(uuid, 0, randomCluster(random_, {1}));
  keepHouseAfter(2h);
  EXPECT_EQ(stateOf(uuid), UploadState::active);
  restart();
  keepHouseAfter(7 * kDay + 1s);
  EXPECT_EQ(stateOf(uuid), UploadState::expired);
}

TEST_F(UploadExpiryTest, ActivityIsNotedForTheNextStart) {
  const std::string uuid = service_->create({"win", 1});
  clock_.advance(6 * kDay);
  send(uuid, 0, randomCluster(random_, {1}));
  service_->keepHouse();
  const UploadRecord before = service_->status(uuid);
  restart();  // killed
  EXPECT_EQ(service_->status(uuid).lastActivity, before.lastActivity);
  EXPECT_EQ(service_->status(uuid).updates, 1U);
  EXPECT_EQ(service_->status(uuid).bytesReceived, 40U + 4096U);
  keepHouseAfter(2 * kDay);
  EXPECT_EQ(stateOf(uuid), UploadState::active);
}

TEST_F(UploadExpiryTest, AFailedUploadExpiresAndAMergedOneStays) {
  const std::string failed = service_->create({"win", 1});
  const std::string done = service_->create({"win", 1});
  service_->merge(done, kSizes);
  waitForEnd(done);
  restartWith(failed, [](UploadRecord& record) { record.state = UploadState::failed; });
  keepHouseAfter(7 * kDay + 1s);
  EXPECT_EQ(stateOf(failed), UploadState::expired);
  EXPECT_EQ(stateOf(done), UploadState::done);
}

TEST_F(UploadExpiryTest, OnesThatEndedAreForgottenInTheEndAndNoOtherEver) {
  options_.sessionTtl = {};
  restart();
  const std::string active = service_->create({"win", 1});
  const std::string failed = service_->create({"win", 1});
  const std::string deleted = service_->create({"win", 1});
  service_->remove(deleted);
  restartWith(failed, [](UploadRecord& record) { record.state = UploadState::failed; });
  keepHouseAfter(90 * kDay);
  EXPECT_EQ(stateOf(deleted), UploadState::deleted);
  keepHouseAfter(1s);
  for (int starts = 0; starts < 2; ++starts) {
    EXPECT_EQ(refusalOf([&] { stateOf(deleted); }), Refusal::Kind::notFound);
    EXPECT_EQ(stateOf(active), UploadState::active);
    EXPECT_EQ(stateOf(failed), UploadState::failed);
    restart();
  }
}

TEST_F(UploadExpiryTest, OfThoseThatEndedTheNewestAreKept) {
  options_.endedKept = 2;
  restart();
  const std::string active = service_->create({"win", 1});
  std::vector<std::string> deleted;
  for (int i = 0; i < 4; ++i) {
    deleted.push_back(service_->create({"win", 1}));
    clock_.advance(1s);
    service_->remove(deleted.back());
  }
  service_->keepHouse();
  EXPECT_EQ(refusalOf([&] { stateOf(deleted[0]); }), Refusal::Kind::notFound);
  EXPECT_EQ(refusalOf([&] { stateOf(deleted[1]); }), Refusal::Kind::notFound);
  EXPECT_EQ(stateOf(deleted[2]), UploadState::deleted);
  EXPECT_EQ(stateOf(deleted[3]), UploadState::deleted);
  EXPECT_EQ(stateOf(active), UploadState::active);
}

TEST(UploadRecordTest, MessagesHoldNoWholeUuid) {
  const std::string uuid = "01234567-89ab-cdef-0123-456789abcdef";
  EXPECT_EQ(hideUuid("cannot read /s/" + uuid + "/meta or /s/" + uuid + "/data", uuid),
            "cannot read /s/01234567.../meta or /s/01234567.../data");
  EXPECT_EQ(hideUuid("cannot write", uuid), "cannot write");
  EXPECT_EQ(hideUuids("/s/" + uuid + "/meta, f" + uuid + uuid),
            "/s/01234567.../meta, f01234567...01234567...");
  EXPECT_EQ(hideUuids("cannot write 01234567-89ab"), "cannot write 01234567-89ab");
}

TEST_F(UploadExpiryTest, WithoutALimitNothingExpires) {
  options_.sessionTtl = {};
  restart();
  const std::string uuid = service_->create({"win", 1});
  keepHouseAfter(10'000 * kDay);
  EXPECT_EQ(stateOf(uuid), UploadState::active);
}

}  // namespace
}  // namespace netcow
