// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/whole_io.h"
#include "upload/uploading_session.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;
using test::UploadingSession;
using testing::HasSubstr;

class Reporter : public testing::Test {
 protected:
  UploadProgress mounted() {
    UploadProgress progress;
    progress.state = UploadStatus::State::backgroundUpload;
    progress.newestDue = local.clock().now() - 60s;
    return progress;
  }

  UploadingSession local{"some-uuid"};
  std::string text;
  UploadReporter reporter{local.session(), true, [this](const std::string& now) { text = now; },
                          local.clock()};
};

TEST_F(Reporter, TellsTheSameToFileAndSink) {
  reporter.report(mounted());
  EXPECT_THAT(text, HasSubstr("uuid=some-uuid\n"));
  EXPECT_EQ(readTextFile(local.file("status")), text);
}

TEST_F(Reporter, IsDueEveryFiveSeconds) {
  EXPECT_EQ(reporter.nextReport(), local.clock().now());
  reporter.report(mounted());
  EXPECT_EQ(reporter.nextReport(), local.clock().now() + 5s);
}

/// Tests of the uploader waited for ever when it was set only after everybody was told.
TEST_F(Reporter, TheNextOneIsDueForWhoMovesTheClockOnWhenToldOfThisOne) {
  UploadReporter told(
      local.session(), false, [this](const std::string&) { local.clock().advance(5s); },
      local.clock());
  told.report(mounted());
  EXPECT_LE(told.nextReport(), local.clock().now());
}

TEST_F(Reporter, CountsOldFreshAndCleanClusters) {
  local.writeClusters(2);
  local.clock().advance(61s);
  local.write(10, 0, 3, 'x');
  local.write(11, 0, 3, 'x');
  local.write(12, 0, 3, 'x');
  const auto clean = local.session().takeDirty(local.clock().now() - 60s);
  local.session().acknowledgeUpload(*clean, local.session().snapshot(*clean).changes);
  reporter.report(mounted());
  EXPECT_THAT(text, HasSubstr("inQueue=1\nmodifiedClusters=3\nidleClusters=1\n"));
}

TEST_F(Reporter, CountsWhatIsInFlightAsQueued) {
  local.writeClusters(3);
  local.clock().advance(61s);
  ASSERT_TRUE(local.session().takeDirty(local.clock().now()));
  UploadProgress progress = mounted();
  progress.checkedOut = 1;
  progress.inFlight = 1;
  reporter.report(progress);
  EXPECT_THAT(text, HasSubstr("inQueue=3\nmodifiedClusters=0\nidleClusters=0\n"));
  EXPECT_THAT(text, HasSubstr("activeUploads=1\n"));
}

TEST_F(Reporter, TellsTheSpeedOfTheLastInterval) {
  reporter.report(mounted());
  local.clock().advance(4s);
  UploadProgress progress = mounted();
  progress.bytesSent = 1'310'760;
  reporter.report(progress);
  EXPECT_THAT(text, HasSubstr("avgSpeedKb=327.69\n"));
  local.clock().advance(5s);
  reporter.report(mounted());
  EXPECT_THAT(text, HasSubstr("avgSpeedKb=0.00\n"));
}

TEST_F(Reporter, TellsWhatIsPendingAndHowLongItWillTake) {
  local.fill(0, 'x');
  local.fill(1, 'x');
  local.clock().advance(61s);
  UploadReporter begun(
      local.session(), true, [this](const std::string& now) { text = now; }, local.clock());
  const auto cluster = local.session().takeDirty(local.clock().now());
  UploadProgress progress = mounted();
  progress.checkedOut = 1;
  begun.report(progress);
  EXPECT_THAT(text, HasSubstr("bytesPending=2621440\nbytesUploaded=0\n"));
  EXPECT_THAT(text, HasSubstr("etaSeconds=-1\n")) << "nothing has moved";
  // Half a cluster in a second: three seconds for the rest. Nothing is counted for that.
  local.clock().advance(1s);
  progress.bytesInFlight = 655'360;
  begun.update(progress);
  EXPECT_EQ(begun.current().bytesPending, 1'966'080U);
  EXPECT_EQ(begun.current().eta, 3s);
  local.clock().advance(1s);
  local.session().acknowledgeUpload(*cluster, local.session().snapshot(*cluster).changes);
  progress = mounted();
  progress.bytesUploaded = 1'310'760;
  progress.clustersUploaded = 1;
  begun.report(progress);
  EXPECT_THAT(text, HasSubstr("bytesPending=1310720\nbytesUploaded=1310760\n"));
  EXPECT_THAT(text, HasSubstr("etaSeconds=2\n"));
}

TEST_F(Reporter, CountsNothingAsSentThatWasInVain) {
  local.fill(0, 'x');
  UploadProgress progress = mounted();
  reporter.report(progress);
  progress.bytesInFlight = 1'000'000;
  reporter.update(progress);
  EXPECT_EQ(reporter.current().bytesPending, 310'720U);
  progress.bytesInFlight = 0;  // the connection broke
  reporter.update(progress);
  EXPECT_EQ(reporter.current().bytesPending, 1'310'720U);
}

TEST_F(Reporter, CountsClustersWhoseLastUploadFailed) {
  local.writeClusters(3);
  local.session().failUpload(*local.session().takeDirty(Clock::Time::max()));
  reporter.report(mounted());
  EXPECT_THAT(text, HasSubstr("clustersFailed=1\n"));
}

TEST_F(Reporter, TellsTheLastErrorUntilAllIsDone) {
  reporter.noteError("HTTP 503");
  reporter.noteError("HTTP 500");
  UploadProgress progress = mounted();
  reporter.report(progress);
  EXPECT_THAT(text, HasSubstr("lastError=\"HTTP 500\"\n"));
  EXPECT_EQ(reporter.current().lastErrorTime, local.clock().unixSeconds());
  progress.state = UploadStatus::State::done;
  reporter.reportEnd(progress);
  EXPECT_THAT(text, HasSubstr("lastError=\n"));
}

TEST_F(Reporter, KeepsAProgressFileWhereNoStatusIsWanted) {
  EXPECT_FALSE(std::filesystem::exists(local.file("progress")));
  UploadReporter quiet(local.session(), false, {}, local.clock());
  quiet.report(mounted());
  EXPECT_EQ(readTextFile(local.file("progress")), statusText(quiet.current()));
  // Nothing new, nothing written.
  std::filesystem::remove(local.file("progress"));
  local.clock().advance(5s);
  quiet.report(mounted());
  EXPECT_FALSE(std::filesystem::exists(local.file("progress")));
  local.clock().advance(1s);
  UploadProgress progress = mounted();
  progress.inFlight = 2;
  quiet.update(progress);
  progress.inFlight = 1;
  quiet.update(progress);
  EXPECT_THAT(readTextFile(local.file("progress")), HasSubstr("activeUploads=2\n"))
      << "once a second is enough";
}

TEST_F(Reporter, ListsUploadsOfEachClusterOnlyAtTheEnd) {
  local.writeClusters(2);
  for (int i = 0; i < 2; ++i) {
    const auto cluster = local.session().takeDirty(Clock::Time::max());
    local.session().acknowledgeUpload(*cluster, local.session().snapshot(*cluster).changes);
  }
  reporter.report(mounted());
  EXPECT_EQ(text.find("BlockStats"), std::string::npos);
  reporter.reportEnd(mounted());
  EXPECT_THAT(text, HasSubstr("\n[BlockStats]\n0=1\n1=1\n"));
}

}  // namespace
}  // namespace netcow
