// SPDX-License-Identifier: Apache-2.0
#include "cli/upload_progress.h"

#include <gmock/gmock.h>

namespace netcow {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::StartsWith;
using State = UploadStatus::State;
using Merge = UploadStatus::Merge;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

class UploadProgressTest : public testing::Test {
 protected:
  void after(std::chrono::milliseconds time, std::uint64_t pending) {
    now_ += time;
    status_.bytesPending = pending;
    progress_.note(status_, now_);
  }

  Clock::Time now_{1'000s};
  UploadStatus status_;
  UploadProgressText progress_;
};

TEST_F(UploadProgressTest, SaysNothingBeforeTheEndBeginsAndAfterIt) {
  status_.state = State::backgroundUpload;
  after(0s, 5 * kMiB);
  EXPECT_EQ(progress_.text(), "");
  EXPECT_EQ(progress_.bar(80), "");
  status_.state = State::done;
  after(1s, 0);
  EXPECT_EQ(progress_.text(), "");
}

TEST_F(UploadProgressTest, TellsBytesRateTimeLeftAndFailures) {
  status_.state = State::uploading;
  after(0s, 100 * kMiB);
  after(2s, 80 * kMiB);
  EXPECT_EQ(progress_.text(), "uploading: 20 %, 20.0 MiB of 100.0 MiB, 10.0 MiB/s, 0:08 left");
  status_.clustersFailed = 2;
  after(0s, 80 * kMiB);
  EXPECT_THAT(progress_.text(), EndsWith("0:08 left, 2 clusters failed"));
}

TEST_F(UploadProgressTest, SaysForHowLongNothingMoved) {
  status_.state = State::uploading;
  after(0s, 100 * kMiB);
  after(7s, 100 * kMiB);
  EXPECT_THAT(progress_.text(), EndsWith("nothing moved for 0:07"));
}

TEST_F(UploadProgressTest, TellsHowFarTheServerIsWithTheMerge) {
  status_.state = State::uploading;
  after(0s, 0);
  status_.merge = Merge::asked;
  after(1s, 0);
  EXPECT_EQ(progress_.text(), "uploaded: asking the server for the merge");
  status_.merge = Merge::merging;
  after(1s, 0);
  EXPECT_EQ(progress_.text(), "the server is merging");  // one that does not tell how far it is
  status_.mergedClusters = 12;
  status_.clustersToMerge = 27;
  after(1s, 0);
  EXPECT_EQ(progress_.text(), "the server is merging: 44 %, 12 of 27 clusters");
  EXPECT_EQ(progress_.bar(21), "the server is merging");
}

TEST_F(UploadProgressTest, FitsAnyTerminal) {
  status_.state = State::uploading;
  status_.clustersFailed = 1;
  after(0s, 100 * kMiB);
  after(1s, 50 * kMiB);
  EXPECT_THAT(progress_.bar(120), StartsWith("[===="));
  EXPECT_THAT(progress_.bar(120), EndsWith(", 1 cluster failed"));
  for (std::size_t width = 0; width < 130; ++width) {
    EXPECT_LE(progress_.bar(width).size(), width);
  }
}

TEST_F(UploadProgressTest, KnowsWhetherAnythingGotFurther) {
  status_.state = State::uploading;
  after(0s, 100 * kMiB);
  EXPECT_TRUE(progress_.takeAdvance()) << "the end began";
  after(1s, 100 * kMiB);
  EXPECT_FALSE(progress_.takeAdvance());
  after(1s, 99 * kMiB);
  EXPECT_TRUE(progress_.takeAdvance());
  after(1s, 100 * kMiB);  // an upload was in vain
  EXPECT_FALSE(progress_.takeAdvance());
  status_.merge = Merge::merging;
  after(1s, 0);
  EXPECT_TRUE(progress_.takeAdvance());
  status_.mergedClusters = 1;
  after(1s, 0);
  EXPECT_TRUE(progress_.takeAdvance());
  after(1s, 0);
  EXPECT_FALSE(progress_.takeAdvance());
}

}  // namespace
}  // namespace netcow
