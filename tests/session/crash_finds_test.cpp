// SPDX-License-Identifier: Apache-2.0
// What the tests of crash_test.cpp found once.
#include <gtest/gtest.h>

#include <cerrno>
#include <optional>

#include "session/crash_examiner.h"
#include "session/failed_call.h"

namespace netcow::test {
namespace {

using Rule = SessionOracle::Rule;

TEST(Crash, InAWriteOverLocalAndNewBlocksLeavesNoChangeThatIsNeverUploaded) {
  SeededRandom random;
  // 'w' at place 1 covers block 1, which is local and uploaded, and block 2, which is new.
  EXPECT_EQ(crashEverywhere(random, "wu", "cw", {4}), "");
}

TEST(Crash, TakesBackNoBlockThatTheServerWasSent) {
  SeededRandom random;
  EXPECT_EQ(crashEverywhere(random, "", "wu", {20}), "");
}

TEST(Crash, AfterASyncThatFailedInRecoveryGoesBackToTheCheckpoint) {
  SeededRandom random;
  // Which pages the kernel drops is a matter of luck.
  for (int i = 0; i < 10 && !HasFailure(); ++i) {
    std::uint64_t n = 0;
    bool came = true;
    while (came && !HasFailure()) {
      EXPECT_EQ(failOneCall(random, {"w", "k", EIO}, ++n, false, came), "");
    }
    EXPECT_GT(n, 10U);
  }
}

/// An upload that was read before a write and is acknowledged in the middle of it.
TEST(Crash, InAWriteThatAnUploadMissedLeavesTheClusterDirty) {
  SeededRandom random;
  ScriptedSession run(random);
  run.runAll("wc");
  CrashExaminer examiner(random, run);
  std::optional<std::uint64_t> taken;
  Session::Snapshot snapshot;
  run.machine.beforeWrite = [&] {
    if (taken) {
      return;
    }
    taken = run.session->takeDirty(run.clock.now());
    ASSERT_TRUE(taken.has_value());
    snapshot = run.session->snapshot(*taken);
    SessionContent content = SessionContent::of(*run.session);
    run.oracle.uploaded(*taken, content.clusters[*taken].blocks);
  };
  std::optional<std::string> wrong;
  run.machine.afterChange = [&] {
    if (wrong) {
      return;
    }
    wrong = "";
    run.session->acknowledgeUpload(*taken, snapshot.changes);
    wrong = examiner.examineNow(10);
  };
  run.run('w', 0);  // in place: the content is all that changes
  EXPECT_EQ(wrong, "");
  EXPECT_EQ(run.wrong, "");
}

TEST(Crash, AfterClustersWereEmptiedLeavesASessionThatOpens) {
  SeededRandom random;
  for (int i = 0; i < 50; ++i) {
    ScriptedSession run(random);
    for (const std::uint64_t cluster : {0U, 1U, 2U}) {
      ASSERT_FALSE(run.session->replaceCluster(cluster, ClusterBits{}, {}));
    }
    ASSERT_FALSE(run.session->checkpoint());
    run.crash(Rule::powerCut);
    EXPECT_TRUE(run.reopen()) << run.wrong;
  }
}

/// A power cut in the middle of a checkpoint may take back one new table and leave the next.
TEST(Crash, NeverRunsOutOfTables) {
  SeededRandom random;
  for (int i = 0; i < 200 && !HasFailure(); ++i) {
    ScriptedSession run(random);
    run.run('w', 5);  // in the third table, which is first on the disk
    run.run('w', 4);  // in the second
    run.machine.stopAfter = run.machine.changes + random.between(1, 12);
    run.run('c', 0);
    run.crash(Rule::powerCut);
    EXPECT_TRUE(run.reopen());
    for (const std::uint64_t place : {5U, 4U, 0U}) {
      run.run('w', place);
    }
    run.run('k', 0);
    EXPECT_EQ(run.wrong, "");
  }
}

/// Nor does what was in such a table come back when the next one takes its place.
TEST(Crash, BringsBackNothingOfATableThatAPowerCutTook) {
  SeededRandom random;
  for (int i = 0; i < 500 && !HasFailure(); ++i) {
    ScriptedSession run(random);
    run.run('s', 1);  // the last cluster of the first table is the first to get a table
    run.machine.stopAfter = run.machine.changes + random.between(4, 9);
    run.run('c', 0);
    run.crash(Rule::powerCut);
    EXPECT_TRUE(run.reopen());
    run.run('w', 5);  // in the third table
    run.machine.stopAfter = run.machine.changes + random.between(3, 8);
    run.run('c', 0);
    run.crash(Rule::powerCut);
    EXPECT_TRUE(run.reopen());
    EXPECT_EQ(run.wrong, "");
  }
}

}  // namespace
}  // namespace netcow::test
