// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <future>
#include <map>

#include "base/errors.h"
#include "server/upload_content.h"
#include "server/uploads/upload_session.h"
#include "session/simulated_folder.h"
#include "support/fake_clock.h"
#include "support/seeded_cases.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::ClusterContent;
using test::SeededRandom;
using test::SimulatedDisk;
using test::SimulatedMachine;

/// A session of an upload on a simulated disk. One thread at a time uses it.
class SimulatedUpload {
 public:
  explicit SimulatedUpload(SeededRandom& random) : random_(random), machine_(random) {
    session_ = std::make_shared<UploadSession>(
        Session::create(openSimulatedFolder(machine_),
                        {.imageName = "win", .uploadUuid = "u", .baseSize = kImageSize}, clock_),
        UploadContext{registry_, counters_, workers_, clock_});
  }

  /// Stores some updates and waits until the last one is acknowledged, which covers all of them.
  void storeSome() {
    std::promise<std::error_code> acknowledged;
    for (std::uint64_t left = random_.between(1, 4); left > 0; --left) {
      const std::uint64_t cluster = random_.between(0, kClusters - 1);
      ClusterContent content = test::randomCluster(
          random_, {random_.between(0, 3), random_.between(4, 200), random_.between(201, 319)});
      const auto body = test::updateBody(content);
      ASSERT_TRUE(session_->store(parseUpdate(cluster, ++sequence_, body)));
      stored_[cluster] = std::move(content);
    }
    session_->makeDurable([&](std::error_code error) {
      atAnswer_ = machine_.disk;
      acknowledged.set_value(error);
    });
    ASSERT_EQ(acknowledged.get_future().get(), std::error_code());
  }

  /// What a power cut at the moment of the last answer took. Empty if nothing.
  std::string lost() {
    SimulatedMachine after(random_);
    after.disk = atAnswer_;
    after.disk.powerCut(random_);
    std::unique_ptr<Session> session;
    try {
      session = Session::open(openSimulatedFolder(after), clock_);
    } catch (const UserError& error) {
      return error.what();
    }
    for (const auto& [cluster, content] : stored_) {
      for (std::uint64_t block = 0; block < kBlocksPerCluster; ++block) {
        const std::uint64_t offset = cluster * kClusterSize + block * kBlockSize;
        const auto run = session->runAt(offset, kBlockSize);
        const auto expected = content.find(block);
        std::vector<std::byte> bytes(kBlockSize);
        if (run.local) {
          EXPECT_EQ(session->readData(bytes, run.dataOffset), std::error_code());
        }
        if (run.local != (expected != content.end()) || (run.local && bytes != expected->second)) {
          return "block " + std::to_string(block) + " of cluster " + std::to_string(cluster);
        }
      }
    }
    return "";
  }
  SimulatedMachine& machine() { return machine_; }

 private:
  static constexpr std::uint64_t kClusters = 3;
  static constexpr std::uint64_t kImageSize = kClusters * kClusterSize;

  SeededRandom& random_;
  test::FakeClock clock_;
  test::TemporaryDirectory directory_;
  Registry registry_{directory_ / "registry.sqlite"};
  UploadCounters counters_;
  SimulatedMachine machine_;
  SimulatedDisk atAnswer_;
  std::map<std::uint64_t, ClusterContent> stored_;
  std::uint64_t sequence_ = 0;
  IoThreads workers_{"uploads", 1};
  std::shared_ptr<UploadSession> session_;
};

TEST(UploadDurability, WhatWasAcknowledgedSurvivesAPowerCutAtThatMoment) {
  test::SeededCases cases;
  for (int i = 0; i < (test::longRun() ? 5'000 : 25); ++i) {
    cases.run([](SeededRandom& random) -> std::string {
      SimulatedUpload upload(random);
      for (std::uint64_t left = random.between(1, 5); left > 0; --left) {
        upload.storeSome();
        if (const std::string lost = upload.lost(); !lost.empty()) {
          return "a power cut took an acknowledged update: " + lost;
        }
      }
      return "";
    });
  }
}

TEST(UploadDurability, AMissingSyncShows) {
  for (const char* file : {"data", "meta"}) {
    SeededRandom random;
    int lost = 0;
    for (int i = 0; i < 20; ++i) {
      SimulatedUpload upload(random);
      upload.machine().ignores = [file](const std::string& call, const std::string& name) {
        return call == "sync" && name == file;
      };
      upload.storeSome();
      lost += upload.lost().empty() ? 0 : 1;
    }
    EXPECT_GT(lost, 0) << file;
  }
}

}  // namespace
}  // namespace netcow
