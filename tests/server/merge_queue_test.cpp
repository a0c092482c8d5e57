// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/merge_queue.h"

#include <gmock/gmock.h>

#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "support/fake_clock.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;

class MergeQueueTest : public testing::Test {
 protected:
  std::shared_ptr<Upload> makeUpload(const std::string& uuid) {
    UploadRecord record;
    record.uuid = uuid;
    return std::make_shared<Upload>(record, directory_ / uuid,
                                    UploadContext{registry_, counters_, workers_, clock_});
  }
  /// A job that throws until it has been called `failures` times for the upload "bad".
  MergeQueue::Job failing(int failures) {
    return [this, failures](Upload& upload) {
      const std::string uuid = upload.record().uuid;
      const int call = ++calls_[uuid];
      if (uuid == "bad" && call <= failures) {
        throw std::runtime_error("no space left on device");
      }
      done_.set_value(uuid);
    };
  }
  std::string waitForDone() {
    auto done = done_.get_future();
    return done.wait_for(60s) == std::future_status::ready ? done.get() : "nothing";
  }

  test::FakeClock clock_;
  test::TemporaryDirectory directory_;
  Registry registry_{directory_ / "registry.sqlite"};
  UploadCounters counters_;
  IoThreads workers_{"uploads", 1};
  std::map<std::string, int> calls_;  // by the queue's thread until it stopped
  std::promise<std::string> done_;
};

TEST_F(MergeQueueTest, TakesAnUploadAgainWhoseMergeThrew) {
  MergeQueue queue(failing(3), 1ms);
  queue.push(makeUpload("bad"));
  EXPECT_EQ(waitForDone(), "bad");
  queue.stop();
  EXPECT_EQ(calls_["bad"], 4);
}

TEST_F(MergeQueueTest, GoesOnWithOthersDuringThePause) {
  MergeQueue queue(failing(1), 1h);
  queue.push(makeUpload("bad"));
  queue.push(makeUpload("good"));
  EXPECT_EQ(waitForDone(), "good");
  queue.stop();  // at once, or this test would take an hour
  EXPECT_EQ(calls_["bad"], 1);
}

TEST_F(MergeQueueTest, KeepsThePauseBetweenTwoAttempts) {
  const auto begin = std::chrono::steady_clock::now();
  MergeQueue queue(failing(2), 20ms);
  queue.push(makeUpload("bad"));
  EXPECT_EQ(waitForDone(), "bad");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 40ms);
}

TEST_F(MergeQueueTest, GivesBackWhatIsNotBeingMerged) {
  MergeQueue queue(failing(1), 1h);
  const auto bad = makeUpload("bad");
  queue.push(bad);
  queue.push(makeUpload("good"));
  EXPECT_EQ(waitForDone(), "good");
  EXPECT_EQ(queue.length().waiting, 1U);  // it pauses
  EXPECT_TRUE(queue.remove(*bad));
  EXPECT_FALSE(queue.remove(*bad));
  EXPECT_EQ(queue.length().waiting, 0U);
}

}  // namespace
}  // namespace netcow
