// SPDX-License-Identifier: Apache-2.0
// A session on a simulated machine: killed, cut off from power, or failed by its disk after any
// operation of any short script, and of long random ones. Each seed replays with NETCOW_SEED=N;
// NETCOW_LONG=1 looks at millions of states.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <optional>

#include "base/errors.h"
#include "session/scripted_session.h"

namespace netcow::test {
namespace {

using Rule = SessionOracle::Rule;

bool longRun() {
  return std::getenv("NETCOW_LONG") != nullptr;
}

/// Unoptimised and sanitized builds look at every n-th moment only.
#ifdef NDEBUG
constexpr std::uint64_t kLookAtEach = 1;
#else
constexpr std::uint64_t kLookAtEach = 10;
#endif

/// Calls visit(script) for all scripts of one to `length` steps.
void forEachScript(std::size_t length, const std::function<void(const std::string&)>& visit,
                   const std::string& begin = {}) {
  for (const char step : ScriptedSession::kSteps) {
    visit(begin + step);
    if (length > 1) {
      forEachScript(length - 1, visit, begin + step);
    }
  }
}

/// Looks at what a crash leaves at one moment of a run.
class CrashExaminer {
 public:
  CrashExaminer(SeededRandom& random, ScriptedSession& run) : random_(random), run_(run) {}

  /// A kill now, and power cuts now; empty if all is well afterwards.
  std::string examineNow(std::uint64_t powerCuts) {
    const Rule now = run_.machine.syncFailed ? Rule::powerCut : run_.rule;
    std::string wrong = examine(run_.machine.disk, now, "killed");
    const std::uint64_t cuts = run_.machine.disk.unsynced() ? powerCuts : 1;
    for (std::uint64_t i = 0; i < cuts && wrong.empty(); ++i) {
      SimulatedDisk disk = run_.machine.disk;
      disk.powerCut(random_);
      wrong = examine(std::move(disk), Rule::powerCut, "power cut");
    }
    return wrong;
  }

  static std::uint64_t states() { return states_; }

 private:
  std::string examine(SimulatedDisk disk, Rule rule, const std::string& how) {
    SimulatedMachine machine(random_);
    machine.disk = std::move(disk);
    std::vector<SimulatedDisk> duringRecovery;
    const bool crashAgain = random_.oneIn(16);
    if (crashAgain) {
      machine.afterChange = [&] { duringRecovery.push_back(machine.disk); };
    }
    SessionContent content;
    std::string wrong = open(machine, rule, content);
    machine.afterChange = nullptr;
    if (wrong.empty() && (crashAgain || random_.oneIn(8))) {
      SessionContent again;
      wrong = open(machine, rule, again);
      if (wrong.empty() && again != content) {
        wrong = "opened again, it differs";
      }
    }
    for (std::size_t i = 0; i < duringRecovery.size() && wrong.empty(); ++i) {
      wrong = crashInRecovery(duringRecovery[i], rule);
    }
    return wrong.empty() ? wrong : how + ": " + wrong;
  }

  std::string crashInRecovery(const SimulatedDisk& disk, Rule rule) {
    SessionContent content;
    SimulatedMachine machine(random_);
    machine.disk = disk;
    std::string wrong = open(machine, rule, content);
    if (wrong.empty()) {
      machine.disk = disk;
      machine.disk.powerCut(random_);
      wrong = open(machine, Rule::powerCut, content);
    }
    return wrong.empty() ? wrong : "and again in recovery: " + wrong;
  }

  std::string open(SimulatedMachine& machine, Rule rule, SessionContent& content) {
    ++states_;
    machine.disk.killProcess();
    try {
      const auto session = Session::open(openSimulatedFolder(machine), run_.clock);
      content = SessionContent::of(*session);
    } catch (const std::exception& error) {
      return std::string("cannot be opened: ") + error.what();
    }
    return run_.oracle.violation(content, rule);
  }

  SeededRandom& random_;
  ScriptedSession& run_;
  static inline std::uint64_t states_ = 0;
};

/// Runs `prefix`, then `script` with a crash after each change of a file. What is wrong, or empty.
std::string crashEverywhere(SeededRandom& random, const std::string& prefix,
                            const std::string& script, std::uint64_t powerCuts) {
  ScriptedSession run(random);
  run.runAll(prefix);
  CrashExaminer examiner(random, run);
  std::string wrong;
  run.machine.afterChange = [&] {
    if (wrong.empty() && random.between(1, kLookAtEach) == 1) {
      wrong = examiner.examineNow(powerCuts);
      if (!wrong.empty()) {
        wrong += " (at change " + std::to_string(run.machine.changes) + ")";
      }
    }
  };
  run.runAll(script);
  run.machine.afterChange = nullptr;
  wrong = wrong.empty() ? run.wrong : wrong;
  return wrong.empty() ? wrong : prefix + "+" + script + ": " + wrong;
}

TEST(Crash, AtEveryChangeOfEveryShortScriptLosesNothing) {
  SeededRandom random;
  const std::uint64_t before = CrashExaminer::states();
  int failures = 0;
  const auto examine = [&](const std::string& prefix, const std::string& script) {
    if (failures < 10) {
      const std::string wrong = crashEverywhere(random, prefix, script, longRun() ? 40 : 2);
      failures += wrong.empty() ? 0 : 1;
      EXPECT_EQ(wrong, "");
    }
  };
  forEachScript(3, [&](const std::string& script) { examine("", script); });
  // A session with local blocks in two clusters, uploaded and checkpointed.
  forEachScript(longRun() ? 3 : 2, [&](const std::string& script) { examine("wsuuc", script); });
  const std::uint64_t states = CrashExaminer::states() - before;
  std::cout << states << " crash states" << std::endl;
  EXPECT_GE(states, kLookAtEach == 1 ? 100'000U : 5'000U);
}

/// Long scripts that crash at a random change, recover (or crash while they do) and go on from
/// what they find: what an earlier crash left must not show after a later one.
TEST(Crash, AgainAndAgainLosesNothing) {
  SeededRandom random;
  const int sessions = (longRun() ? 20'000 : 600) / static_cast<int>(kLookAtEach);
  int crashes = 0;
  for (int i = 0; i < sessions && !HasFailure(); ++i) {
    ScriptedSession run(random);
    std::string script;
    for (int life = 0; life < 12 && run.wrong.empty(); ++life) {
      run.machine.stopAfter = run.machine.changes + random.between(1, 60);
      while (!run.machine.stopped() && run.wrong.empty()) {
        const char step = ScriptedSession::kSteps[random.between(0, 7)];
        script += step;
        run.run(step, random.between(0, 11));
      }
      do {
        run.crash(random.oneIn(3) ? Rule::killed : Rule::powerCut);
        script += run.rule == Rule::killed ? "K" : "X";
        ++crashes;
        if (random.oneIn(2)) {
          run.machine.stopAfter = run.machine.changes + random.between(1, 12);
        }
      } while (!run.reopen() && run.wrong.empty());
    }
    EXPECT_EQ(run.wrong, "") << script;
  }
  std::cout << crashes << " crashes" << std::endl;
}

/// Runs a script whose n-th call fails, then ends it in a crash. False once n is beyond its end.
bool failOneCall(SeededRandom& random, const std::string& prefix, const std::string& script,
                 std::uint64_t n, int error, Rule end) {
  ScriptedSession run(random);
  run.runAll(prefix);
  run.machine.failAt = run.machine.calls + n;
  run.machine.error = error;
  run.runAll(script);
  run.crash(end);
  const bool failed = run.machine.failed;
  if (!run.reopen() && run.wrong.empty()) {
    run.crash(Rule::killed);  // it failed while recovering: try again
    run.reopen();
  }
  EXPECT_EQ(run.wrong, "") << prefix << "+" << script << ", call " << n << " fails";
  return failed && !testing::Test::HasFailure();
}

TEST(Crash, AfterAnyFailedCallLosesNothingAcknowledged) {
  SeededRandom random;
  std::uint64_t runs = 0;
  const auto failEach = [&](const std::string& prefix, const std::string& script) {
    std::uint64_t n = 1;
    while (!testing::Test::HasFailure() &&
           failOneCall(random, prefix, script, n, random.oneIn(2) ? ENOSPC : EIO,
                       random.oneIn(2) ? Rule::killed : Rule::powerCut)) {
      n += random.between(1, 2 * kLookAtEach - 1);
      ++runs;
    }
  };
  forEachScript(longRun() ? 3 : 2, [&](const std::string& script) { failEach("", script); });
  forEachScript(longRun() ? 3 : 2, [&](const std::string& script) { failEach("wsuuc", script); });
  std::cout << runs << " failed calls" << std::endl;
}

// --- what the tests above found once ----------------------------------------------------------

TEST(Crash, InAWriteOverLocalAndNewBlocksLeavesNoChangeThatIsNeverUploaded) {
  SeededRandom random;
  // 'w' at place 1 covers block 1, which is local and uploaded, and block 2, which is new.
  EXPECT_EQ(crashEverywhere(random, "wu", "cw", 4), "");
}

TEST(Crash, TakesBackNoBlockThatTheServerWasSent) {
  SeededRandom random;
  EXPECT_EQ(crashEverywhere(random, "", "wu", 20), "");
}

TEST(Crash, AfterASyncThatFailedInRecoveryGoesBackToTheCheckpoint) {
  SeededRandom random;
  // Which pages the kernel drops is a matter of luck.
  for (int i = 0; i < 10 && !HasFailure(); ++i) {
    std::uint64_t n = 1;
    while (failOneCall(random, "w", "k", n, EIO, Rule::killed)) {
      ++n;
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
  for (int i = 0; i < 2'000 / static_cast<int>(kLookAtEach) && !HasFailure(); ++i) {
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
