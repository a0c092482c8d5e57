// SPDX-License-Identifier: Apache-2.0
#include "upload/status_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/whole_io.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::TemporaryDirectory;
using State = UploadStatus::State;

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
  return status;
}

TEST(StatusText, HasItsKeysInTheOrderReadersKnow) {
  EXPECT_EQ(statusText(exampleStatus()),
            "[General]\n"
            "uuid=0b0ea1c4-8d3f-4f2e-9d1e-7f5e0c6f1a2b\n"
            "state=backgroundUpload\n"
            "inQueue=1\n"
            "modifiedClusters=2\n"
            "idleClusters=3\n"
            "totalClustersUploaded=4\n"
            "activeUploads=5\n"
            "avgSpeedKb=1234.57\n");
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
    EXPECT_NE(statusText(status).find("\nstate=" + text + "\n"), std::string::npos) << text;
  }
}

TEST(StatusText, WritesSpeedWithTwoDigits) {
  UploadStatus status;
  EXPECT_NE(statusText(status).find("avgSpeedKb=0.00\n"), std::string::npos);
}

TEST(BlockStats, ListsTheMostUploadedFirst) {
  EXPECT_EQ(blockStatsText({{7, 1}, {3, 9}, {12, 2}, {1, 2}}),
            "\n[BlockStats]\n3=9\n1=2\n12=2\n7=1\n");
  EXPECT_EQ(blockStatsText({}), "");
}

TEST(StatusFile, CanBeReadUnderItsOldName) {
  const TemporaryDirectory directory;
  StatusFile file(directory.path());
  file.write("one\n");
  EXPECT_EQ(readTextFile(directory / "status"), "one\n");
  EXPECT_EQ(std::filesystem::read_symlink(directory / "status.txt"), "status");
  file.write("two\n");
  EXPECT_EQ(readTextFile(directory / "status.txt"), "two\n");
}

TEST(StatusFile, ReplacesAnOldFileByTheLink) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "status.txt") << "left by a very old version\n";
  StatusFile file(directory.path());
  file.write("new\n", /*durable=*/true);
  EXPECT_EQ(readTextFile(directory / "status.txt"), "new\n");
  const StatusFile again(directory.path());  // finds its own link
  EXPECT_EQ(std::filesystem::read_symlink(directory / "status.txt"), "status");
}

TEST(StatusFile, BelongsToItsUserAlone) {
  const TemporaryDirectory directory;
  StatusFile(directory.path()).write("x\n");
  struct stat info = {};
  ASSERT_EQ(::stat((directory / "status").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST(StatusFile, DoesNotFailTheUploadWhenItCannotBeWritten) {
  const TemporaryDirectory directory;
  StatusFile file(directory / "no-such-folder");
  EXPECT_NO_THROW(file.write("x\n"));
}

}  // namespace
}  // namespace netcow
