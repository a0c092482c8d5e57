// SPDX-License-Identifier: Apache-2.0
// What `netcow check` finds and what its repair does, on real files: each damage by itself.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/errors.h"
#include "base/whole_io.h"
#include "session/check.h"
#include "session/damages.h"
#include "session/live_file.h"
#include "session/origin.h"
#include "session/repair.h"
#include "support/temporary_directory.h"

namespace netcow::test {
namespace {

namespace fs = std::filesystem;

/// All files of a folder, byte for byte.
std::map<std::string, std::string> filesOf(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    files[entry.path().filename()] = readTextFile(entry.path());
  }
  return files;
}

CheckReport check(const std::string& directory) {
  return checkSession(*openFolder(directory));
}
RepairReport repair(const std::string& directory) {
  return repairSession(*openFolder(directory));
}
std::uint64_t bytesOnDisk(const std::string& path) {
  struct stat status{};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

class CheckDamage : public testing::TestWithParam<Damage> {
 protected:
  CheckDamage() { makeSoundSession(directory_); }
  const TemporaryDirectory temporary_;
  const std::string directory_ = temporary_ / "s";
};

TEST_P(CheckDamage, IsNamedAndLeftAsItIs) {
  GetParam().apply(directory_);
  const auto before = filesOf(directory_);
  const CheckReport report = check(directory_);
  EXPECT_FALSE(report.sound());
  EXPECT_TRUE(report.has(GetParam().kind));
  EXPECT_TRUE(
      std::any_of(report.findings.begin(), report.findings.end(), [](const Finding& finding) {
        return (finding.file + " " + finding.what).find(GetParam().expected) != std::string::npos ||
               finding.kind == FindingKind::missingFile;
      }));
  const RepairReport repaired = repair(directory_);
  EXPECT_FALSE(repaired.after.sound());
  EXPECT_TRUE(repaired.done.empty());
  EXPECT_TRUE(filesOf(directory_) == before);
}

INSTANTIATE_TEST_SUITE_P(Each, CheckDamage, testing::ValuesIn(kDamages),
                         [](const auto& test) { return test.param.name; });

/// A session with something wrong that can be mended.
class Repair : public testing::Test {
 protected:
  Repair() { makeSoundSession(directory_); }

  /// Repairs, and looks whether that was all: the second time finds nothing.
  RepairReport repairWhole() {
    RepairReport report = repair(directory_);
    EXPECT_TRUE(report.after.findings.empty());
    EXPECT_FALSE(report.done.empty());
    const auto files = filesOf(directory_);
    const RepairReport again = repair(directory_);
    EXPECT_TRUE(again.before.findings.empty());
    EXPECT_TRUE(again.done.empty());
    EXPECT_TRUE(filesOf(directory_) == files);
    return report;
  }
  /// Content in all of the first cluster's place, which no cluster has any more.
  void fillAndForgetFirstCluster() {
    overwrite(path("data"), 1'310'720, std::vector<unsigned char>(1'310'720, 'g'));
    std::vector<unsigned char> entry(64, 0);
    std::fill_n(entry.begin(), 8, static_cast<unsigned char>(0xFF));
    overwrite(path("meta"), 65'536, entry);
  }
  std::string path(const std::string& name) { return directory_ + "/" + name; }
  std::string meta() { return readTextFile(path("meta")); }

  const TemporaryDirectory temporary_;
  const std::string directory_ = temporary_ / "s";
};

TEST_F(Repair, FindsNothingInASoundSession) {
  const auto files = filesOf(directory_);
  const RepairReport report = repair(directory_);
  EXPECT_TRUE(report.before.findings.empty());
  EXPECT_TRUE(report.done.empty());
  EXPECT_TRUE(filesOf(directory_) == files);
  EXPECT_EQ(report.after.tables, 1U);
  EXPECT_EQ(report.after.clusters, 2U);
  EXPECT_EQ(report.after.localBlocks, 2U);
}

TEST_F(Repair, CountsTablesAnew) {
  const std::string sound = meta();
  for (const std::vector<unsigned char>& wrong :
       {std::vector<unsigned char>{0, 0, 0, 0}, {0xFF, 0xFF, 0xFF, 0xFF}, {0, 0, 1, 0}}) {
    overwrite(path("meta"), 44, wrong);
    const std::string damaged = meta();
    EXPECT_THROW(Session::open(directory_), UserError);
    EXPECT_TRUE(check(directory_).has(FindingKind::counter));
    const RepairReport report = repairWhole();
    EXPECT_TRUE(meta() == sound);
    EXPECT_TRUE(readTextFile(path(report.copy)) == damaged);
  }
}

TEST_F(Repair, CountsSpaceAnew) {
  const std::string sound = meta();
  for (const std::vector<unsigned char>& wrong :
       {std::vector<unsigned char>{0, 0, 0x14, 0, 0, 0, 0, 0},  // on a cluster that is used
        {1, 0, 0, 0, 0, 0, 0, 0},
        {0, 0, 0, 0, 0, 0, 0, 0x80},
        {0, 0, 0x78, 0, 0, 0, 0, 0}}) {  // behind the end of `data`
    overwrite(path("meta"), 56, wrong);
    EXPECT_EQ(check(directory_).repairable, 1U);
    repairWhole();
    EXPECT_TRUE(meta() == sound);
  }
}

TEST_F(Repair, TakesNoTableForMiscountedThatLeavesAGap) {
  // L1 names table 1 instead of 0, which is where the local blocks are.
  overwrite(path("meta"), 320, {1, 0, 0, 0});
  const auto files = filesOf(directory_);
  EXPECT_TRUE(repair(directory_).after.has(FindingKind::tableIndex));
  EXPECT_TRUE(filesOf(directory_) == files);
}

TEST_F(Repair, TurnsOffsetsOfZeroIntoMinusOne) {
  const std::string sound = meta();
  for (const std::streamoff entry : {2, 7, 1'023}) {
    overwrite(path("meta"), 65'536 + entry * 64, std::vector<unsigned char>(8, 0));
  }
  EXPECT_TRUE(check(directory_).sound());
  repairWhole();
  EXPECT_TRUE(meta() == sound);
}

TEST_F(Repair, GivesSpaceBackThatNoClusterUses) {
  fillAndForgetFirstCluster();
  const std::uint64_t before = bytesOnDisk(path("data"));
  const std::string sound = readTextFile(path("data")).substr(2 * 1'310'720);
  const CheckReport report = check(directory_);
  EXPECT_TRUE(report.sound());
  EXPECT_GE(report.leakedBytes, 1'310'720U);
  const RepairReport repaired = repairWhole();
  EXPECT_EQ(repaired.copy, "");
  EXPECT_LE(bytesOnDisk(path("data")), before - 1'310'720U);
  EXPECT_TRUE(readTextFile(path("data")).substr(2 * 1'310'720) == sound);
}

TEST_F(Repair, GivesBackNothingInARunThatDroppedLive) {
  Session::open(directory_).reset();
  ASSERT_FALSE(markSyncFailed(*openFolder(directory_)));
  fillAndForgetFirstCluster();
  const std::uint64_t before = bytesOnDisk(path("data"));
  EXPECT_EQ(check(directory_).stateName(), "dropped");
  EXPECT_TRUE(repair(directory_).after.has(FindingKind::leakedSpace));
  EXPECT_EQ(bytesOnDisk(path("data")), before);
  repairWhole();
  EXPECT_LT(bytesOnDisk(path("data")), before);
}

TEST_F(Repair, AfterAFailedSyncKeepsWhatOnlyLiveNamed) {
  const std::string content(kBlockSize, 'w');
  {
    const auto session = Session::open(directory_);
    ASSERT_FALSE(session->write(std::as_bytes(std::span(content)), 3 * kClusterSize));
  }
  ASSERT_FALSE(markSyncFailed(*openFolder(directory_)));
  const std::string live = readTextFile(path("live"));
  const RepairReport report = repairWhole();
  EXPECT_EQ(report.after.localBlocks, 2U);
  EXPECT_TRUE(readTextFile(path("live.before-repair")) == live);
  // Who trusts it after all has everything.
  fs::rename(path("live.before-repair"), path("live"));
  fs::copy_file(path(report.copy), path("meta"), fs::copy_options::overwrite_existing);
  overwrite(path("live"), 12, {0, 0, 0, 0});
  const auto session = Session::open(directory_);
  EXPECT_NE(session->recovery().find("whole"), std::string::npos) << session->recovery();
  std::string found(kBlockSize, '\0');
  ASSERT_TRUE(session->isLocal(3 * kBlocksPerCluster));
  ASSERT_FALSE(session->readBlocks(3, 0, std::as_writable_bytes(std::span(found))));
  EXPECT_TRUE(found == content);
}

TEST_F(Repair, OfAnOlderMetaTakesNothingOfWhatWasWrittenSince) {
  const std::string older = meta();
  const std::vector<std::byte> content(kBlockSize, std::byte{2});
  {
    const auto session = Session::open(directory_);
    ASSERT_FALSE(session->write(content, 3 * kClusterSize));
    ASSERT_FALSE(session->close());
  }
  const auto files = filesOf(directory_);
  std::ofstream(path("meta"), std::ios::binary) << older;
  repair(directory_);
  std::ofstream(path("meta"), std::ios::binary) << files.at("meta");
  EXPECT_TRUE(readTextFile(path("data")) == files.at("data"));
}

TEST_F(Repair, TakesNoNameForFreeThatItCannotOpen) {
  fs::create_symlink("meta.before-repair", path("meta.before-repair"));  // ELOOP
  overwrite(path("meta"), 44, {0});
  const std::string before = meta();
  EXPECT_THROW(repair(directory_), std::system_error);
  EXPECT_TRUE(fs::is_symlink(path("meta.before-repair")));
  EXPECT_TRUE(meta() == before);
}

TEST_F(Repair, GivesNoSpaceBackBesideDamage) {
  overwrite(path("data"), 5 * 1'310'720, std::vector<unsigned char>(4'096, 'x'));
  overwrite(path("meta"), 65'536, {1});
  const auto files = filesOf(directory_);
  const RepairReport report = repair(directory_);
  EXPECT_FALSE(report.before.has(FindingKind::leakedSpace));
  EXPECT_TRUE(filesOf(directory_) == files);
}

TEST_F(Repair, RemovesLeftovers) {
  for (const char* name : {"meta.new", "meta.discarded", "meta.unfinished-copy"}) {
    std::ofstream(path(name)) << "rubbish";
  }
  EXPECT_EQ(check(directory_).notes, 3U);
  EXPECT_TRUE(check(directory_).sound());
  repairWhole();
  EXPECT_FALSE(fs::exists(path("meta.new")));
}

TEST_F(Repair, RecoversWhatAKilledProcessLeft) {
  const std::vector<std::byte> content(kBlockSize, std::byte{2});
  {
    const auto session = Session::open(directory_);
    ASSERT_FALSE(session->write(content, 3 * kClusterSize));
  }
  const std::string before = meta();
  const CheckReport report = check(directory_);
  EXPECT_TRUE(report.sound());
  EXPECT_EQ(report.stateName(), "killed");
  EXPECT_EQ(report.localBlocks, 3U);
  const RepairReport repaired = repairWhole();
  EXPECT_TRUE(readTextFile(path(repaired.copy)) == before);
  EXPECT_FALSE(fs::exists(path("live")));
  const auto session = Session::open(directory_);
  EXPECT_EQ(session->recovery(), "");
  EXPECT_TRUE(session->isLocal(3 * kBlocksPerCluster));
}

TEST_F(Repair, NeverOverwritesACopy) {
  for (const char* name : {"meta.before-repair", "meta.before-repair.1"}) {
    std::ofstream(path(name)) << name;
  }
  overwrite(path("meta"), 44, {0});
  EXPECT_EQ(repairWhole().copy, "meta.before-repair.2");
  EXPECT_EQ(readTextFile(path("meta.before-repair.1")), "meta.before-repair.1");
  EXPECT_LT(bytesOnDisk(path("meta.before-repair.2")), 1'000'000U);
}

TEST_F(Repair, LeavesAnOriginThatCannotBeReadButMendsTheRest) {
  std::ofstream(path("origin.json")) << "{";
  overwrite(path("meta"), 44, {0});
  const RepairReport report = repair(directory_);
  EXPECT_FALSE(report.after.sound());
  ASSERT_EQ(report.after.findings.size(), 1U);
  EXPECT_EQ(report.after.findings.front().kind, FindingKind::origin);
  EXPECT_EQ(report.after.findings.front().what.find('\n'), std::string::npos);
  EXPECT_NO_THROW(Session::open(directory_));
  EXPECT_EQ(readTextFile(path("origin.json")), "{");
}

TEST_F(Repair, IsRefusedWhileTheSessionIsInUse) {
  const auto session = Session::open(directory_);
  EXPECT_THROW(repair(directory_), UserError);
  const CheckReport report = check(directory_);
  EXPECT_TRUE(report.inUse);
  EXPECT_TRUE(report.findings.empty());
}

TEST_F(Repair, IsNotToldOfASessionWithoutMetaThatItWasClosed) {
  Session::open(directory_).reset();
  fs::resize_file(path("meta"), 100);
  EXPECT_EQ(check(directory_).stateName(), "unknown");
  fs::remove(path("meta"));
  EXPECT_EQ(check(directory_).stateName(), "unknown");
  EXPECT_EQ(check(directory_).state(), "nobody can tell whether it was closed");
}

TEST_F(Repair, OfAReadOnlyFolderIsNotNeededToCheck) {
  for (const char* name : {"meta", "data"}) {
    fs::permissions(path(name), fs::perms::owner_read);
  }
  EXPECT_TRUE(check(directory_).sound());
}

}  // namespace
}  // namespace netcow::test
