// SPDX-License-Identifier: Apache-2.0
#include "cli/status_text.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace netcow {
namespace {

using testing::HasSubstr;
using testing::Not;
using State = StatusReport::State;
using Merge = UploadStatus::Merge;

UploadStatus someFigures() {
  UploadStatus upload;
  upload.uuid = "some-uuid";
  upload.state = UploadStatus::State::backgroundUpload;
  upload.inQueue = 2;
  upload.modifiedClusters = 1;
  upload.totalClustersUploaded = 12;
  upload.activeUploads = 1;
  upload.bytesPending = 3'932'160;
  upload.bytesUploaded = 15'728'640;
  upload.clustersFailed = 1;
  upload.lastError = "HTTP 503 (too busy)";
  upload.lastErrorTime = 1'700'000'000;
  upload.merge = Merge::wanted;
  upload.eta = std::chrono::seconds(65);
  upload.process = 1234;
  return upload;
}

/// What `status` in a mount tells.
std::string mountText() {
  return "Image:    lab/windows: 11\nRevision: 3\nServer:   server:5003\nState:    connected\n"
         "Round trip: 0.3 ms\nKnown server: a:5003, failures 0\nKnown server: b:5003, failures 1\n"
         "Process:  1234\nSession:  /var/tmp/windows-lab\nUploads to: http://server:5000\n\n" +
         statusText(someFigures());
}

StatusReport closedSession(std::uint64_t dirty, Merge merge) {
  StatusReport report;
  report.session = "/var/tmp/lab";
  report.image = "lab";
  report.revision = 1;
  report.uploadServer = "http://server:5000";
  report.dirtyClusters = dirty;
  report.upload.emplace();
  report.upload->merge = merge;
  return report;
}

TEST(MountStatus, IsReadBack) {
  const auto report = parseMountStatus("/mnt/lab", mountText());
  ASSERT_TRUE(report);
  EXPECT_EQ(report->state, State::mounted);
  EXPECT_EQ(report->image, "lab/windows: 11");
  EXPECT_EQ(report->revision, 3U);
  EXPECT_EQ(report->process, 1234);
  EXPECT_EQ(report->session, "/var/tmp/windows-lab");
  EXPECT_EQ(report->uploadServer, "http://server:5000");
  EXPECT_EQ(report->dirtyClusters, 3U);
  EXPECT_EQ(report->upload, someFigures());
  EXPECT_EQ(report->connection.size(), 5U);
}

TEST(MountStatus, OfAnotherProgramIsReadAsFarAsItGoes) {
  const auto report = parseMountStatus("/mnt", "Image:    x\nRevision: 1\n");
  ASSERT_TRUE(report);
  EXPECT_EQ(nextStep(*report), "nothing: the mount is read-only");
  EXPECT_FALSE(parseMountStatus("/mnt", ""));
  EXPECT_FALSE(parseMountStatus("/mnt", "[General]\nuuid=1\n"));
}

TEST(StatusReportText, TellsPeopleEverythingThatIsStillToDo) {
  const std::string text = statusReportText(*parseMountStatus("/mnt/lab", mountText()));
  EXPECT_THAT(text, HasSubstr("Mountpoint    /mnt/lab\n"
                              "State         mounted by process 1234\n"
                              "Image         lab/windows: 11 revision 3\n"
                              "Server        server:5003\n"
                              "Connection    connected\n"
                              "Round trip    0.3 ms\n"
                              "Session       /var/tmp/windows-lab\n"
                              "Uploads to    http://server:5000\n"
                              "Not uploaded  3 clusters, 3.8 MiB; 1 changed too lately to be sent; "
                              "1 failed at the last attempt\n"
                              "Uploaded      12 clusters, 15.0 MiB since the start\n"
                              "Time left     1:05\n"
                              "Merge         asked for when everything is uploaded\n"));
  EXPECT_THAT(text, HasSubstr(" HTTP 503 (too busy)\n"));
  EXPECT_THAT(text,
              HasSubstr("\nNext          unmount it (umount /mnt/lab) when all is changed: the "
                        "rest is uploaded then, and the server makes a new revision\n"));
}

TEST(NextStep, FollowsFromWhatIsLeft) {
  EXPECT_EQ(nextStep(closedSession(2, Merge::none)),
            "`netcow upload -m /var/tmp/lab` sends the rest and asks for the new revision");
  EXPECT_EQ(nextStep(closedSession(2, Merge::done)), "`netcow upload /var/tmp/lab` sends the rest");
  EXPECT_EQ(nextStep(closedSession(0, Merge::none)),
            "all is uploaded; `netcow upload -m /var/tmp/lab` makes it a new revision");
  EXPECT_EQ(nextStep(closedSession(0, Merge::asked)),
            "all is uploaded; `netcow upload -m /var/tmp/lab` makes it a new revision");
  EXPECT_EQ(nextStep(closedSession(0, Merge::refused)),
            "all is uploaded, but the server refused the merge; its log tells why");
  EXPECT_EQ(nextStep(closedSession(0, Merge::done)),
            "nothing: all is uploaded and merged, and the folder can be removed");
  StatusReport local = closedSession(2, Merge::none);
  local.upload.reset();
  EXPECT_THAT(nextStep(local), HasSubstr("`netcow mount -L /var/tmp/lab MOUNTPOINT`"));
  StatusReport uploading = closedSession(2, Merge::merging);
  uploading.state = State::uploading;
  EXPECT_EQ(nextStep(uploading),
            "wait: the session is closed when everything is uploaded and merged");
}

TEST(NextStep, IsNeverToRemoveWhatIsNotUploadedAndMerged) {
  for (const Merge merge :
       {Merge::none, Merge::wanted, Merge::asked, Merge::merging, Merge::done, Merge::refused}) {
    for (const std::uint64_t dirty : {0U, 1U}) {
      if (dirty != 0 || merge != Merge::done) {
        EXPECT_THAT(nextStep(closedSession(dirty, merge)), Not(HasSubstr("removed")));
      }
    }
  }
}

TEST(StatusReportJson, HasEveryKeyAlways) {
  const auto json =
      nlohmann::json::parse(statusReportJson(*parseMountStatus("/mnt/lab", mountText()), false));
  EXPECT_EQ(json.at("mountpoint"), "/mnt/lab");
  EXPECT_EQ(json.at("state"), "mounted");
  EXPECT_EQ(json.at("process"), 1234);
  EXPECT_EQ(json.at("connection").at("Server"), "server:5003");
  EXPECT_EQ(json.at("connection").at("Known server").size(), 2U);
  EXPECT_EQ(json.at("upload").at("bytesPending"), 3'932'160);
  EXPECT_EQ(json.at("upload").at("etaSeconds"), 65);
  EXPECT_EQ(json.at("upload").at("lastError"), "HTTP 503 (too busy)");
  EXPECT_EQ(json.at("upload").at("mergeState"), "wanted");
  const std::string line = statusReportJson(StatusReport{}, true);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto empty = nlohmann::json::parse(line);
  for (const char* const key :
       {"mountpoint", "session", "process", "revision", "connection", "upload"}) {
    EXPECT_TRUE(empty.at(key).is_null()) << key;
  }
  EXPECT_EQ(empty.at("state"), "closed");
}

}  // namespace
}  // namespace netcow
