// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_status.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace netcow {
namespace {

using State = UploadStatus::State;
using Merge = UploadStatus::Merge;
using testing::HasSubstr;

UploadStatus exampleStatus() {
  UploadStatus status;
  status.uuid = "0b0ea1c4-8d3f-4f2e-9d1e-7f5e0c6f1a2b";
  status.state = State::backgroundUpload;
  status.inQueue = 1;
  status.modifiedClusters = 2;
  status.idleClusters = 3;
  status.totalClustersUploaded = 4;
  status.activeUploads = 5;
  status.avgSpeedKb = 1234.567;
  status.bytesPending = 6;
  status.bytesUploaded = 7;
  status.clustersFailed = 8;
  status.lastError = "HTTP 503 (too busy)";
  status.merge = Merge::wanted;
  status.eta = std::chrono::seconds(9);
  status.lastErrorTime = 1'700'000'000;
  status.mergedClusters = 10;
  status.clustersToMerge = 11;
  status.process = 12;
  return status;
}

/// The value of lastError as it stands in the text.
std::string errorLine(const std::string& error) {
  UploadStatus status;
  status.lastError = error;
  const std::string text = statusText(status);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 19) << text;
  const auto begin = text.find("lastError=") + 10;
  return text.substr(begin, text.find('\n', begin) - begin);
}

TEST(StatusText, HasTheOldKeysInTheOrderReadersKnowAndNewOnesBehind) {
  EXPECT_EQ(statusText(exampleStatus()),
            "[General]\n"
            "uuid=0b0ea1c4-8d3f-4f2e-9d1e-7f5e0c6f1a2b\n"
            "state=backgroundUpload\n"
            "inQueue=1\n"
            "modifiedClusters=2\n"
            "idleClusters=3\n"
            "totalClustersUploaded=4\n"
            "activeUploads=5\n"
            "avgSpeedKb=1234.57\n"
            "bytesPending=6\n"
            "bytesUploaded=7\n"
            "clustersFailed=8\n"
            "lastError=\"HTTP 503 (too busy)\"\n"
            "mergeState=wanted\n"
            "etaSeconds=9\n"
            "lastErrorTime=1700000000\n"
            "mergedClusters=10\n"
            "clustersToMerge=11\n"
            "process=12\n");
}

TEST(StatusText, SpellsEveryState) {
  const std::vector<std::pair<State, std::string>> states = {
      {State::active, "active"},       {State::backgroundUpload, "backgroundUpload"},
      {State::uploading, "uploading"}, {State::done, "done"},
      {State::cancelled, "cancelled"}, {State::failed, "failed"},
      {State::local, "local"}};
  for (const auto& [state, text] : states) {
    UploadStatus status;
    status.state = state;
    EXPECT_THAT(statusText(status), HasSubstr("\nstate=" + text + "\n"));
  }
}

TEST(StatusText, SpellsEveryStateOfTheMerge) {
  const std::vector<std::pair<Merge, std::string>> states = {
      {Merge::none, "none"},       {Merge::wanted, "wanted"}, {Merge::asked, "asked"},
      {Merge::merging, "merging"}, {Merge::done, "done"},     {Merge::refused, "refused"}};
  for (const auto& [state, text] : states) {
    UploadStatus status;
    status.merge = state;
    EXPECT_THAT(statusText(status), HasSubstr("\nmergeState=" + text + "\n"));
  }
}

TEST(StatusText, WritesSpeedWithTwoDigitsAndAnUnknownEndAsMinusOne) {
  const std::string text = statusText(UploadStatus{});
  EXPECT_THAT(text, HasSubstr("avgSpeedKb=0.00\n"));
  EXPECT_THAT(text, HasSubstr("etaSeconds=-1\n"));
  EXPECT_THAT(text, HasSubstr("lastError=\n"));
}

TEST(StatusText, HoldsNothingAnIniReaderCouldStumbleOver) {
  // What ends a line, begins a comment or a list, escapes, or is replaced by one reader or other.
  EXPECT_EQ(errorLine("a, b; c # d = e [General]"), "\"a, b; c # d = e [General]\"");
  EXPECT_EQ(errorLine("two\nlines\r\nstate=done\x7f"), "\"two lines  state=done \"");
  EXPECT_EQ(errorLine("say \"no\" at C:\\x %(uuid)s"), "\"say 'no' at C:/x ?(uuid)s\"");
  EXPECT_EQ(errorLine("voil\u00e0"), "\"voil\u00e0\"");
  EXPECT_EQ(errorLine("no \xff UTF-8"), "\"no \ufffd UTF-8\"");
  EXPECT_EQ(errorLine(std::string(10'000, 'x')), '"' + std::string(500, 'x') + '"');
}

TEST(StatusText, IsReadBack) {
  UploadStatus status = exampleStatus();
  status.avgSpeedKb = 12.5;
  EXPECT_EQ(parseStatusText(statusText(status)), status);
  EXPECT_EQ(parseStatusText(statusText(UploadStatus{})), UploadStatus{});
  EXPECT_EQ(parseStatusText("Image:    x\nRevision: 1\n\n" + statusText(status) +
                            "\n[BlockStats]\n3=9\n"),
            status);
}

TEST(StatusText, OfAnOlderProgramIsReadAsFarAsItGoes) {
  const auto status = parseStatusText("[General]\nuuid=u\nstate=uploading\ninQueue=3\n");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->state, State::uploading);
  EXPECT_EQ(status->inQueue, 3U);
  EXPECT_EQ(status->process, 0);
  EXPECT_FALSE(parseStatusText("Image:    x\nRevision: 1\n"));
  EXPECT_FALSE(parseStatusText("[General]\n[General]\n"));
}

TEST(BlockStats, ListsTheMostUploadedFirst) {
  EXPECT_EQ(blockStatsText({{7, 1}, {3, 9}, {12, 2}, {1, 2}}),
            "\n[BlockStats]\n3=9\n1=2\n12=2\n7=1\n");
  EXPECT_EQ(blockStatsText({}), "");
}

}  // namespace
}  // namespace netcow
