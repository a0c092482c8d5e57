// SPDX-License-Identifier: Apache-2.0
// A session on a simulated machine: killed, cut off from power, or failed by its disk after any
// operation of any short script, and of long random ones. What fails prints the command that
// replays it; NETCOW_LONG=1 looks at millions of states.
#include <gtest/gtest.h>

#include <cerrno>
#include <iostream>

#include "base/errors.h"
#include "session/crash_examiner.h"
#include "session/failed_call.h"
#include "support/seeded_cases.h"

namespace netcow::test {
namespace {

using Rule = SessionOracle::Rule;

/// Unoptimised and sanitized builds look at every n-th moment only.
#ifdef NDEBUG
constexpr std::uint64_t kLookAtEach = 1;
#else
constexpr std::uint64_t kLookAtEach = 20;
#endif

/// A session with local blocks in two clusters, uploaded and checkpointed.
const std::string kUploaded = "wsuuc";

/// Runs all short scripts, on a new session and on one with history.
template <class Visit>
void forEachShortScript(std::size_t onNew, std::size_t onUploaded, Visit visit) {
  forEachScript(onNew, [&](const std::string& script) { visit("", script); });
  forEachScript(onUploaded, [&](const std::string& script) { visit(kUploaded, script); });
}

TEST(Crash, AtEveryChangeOfEveryShortScriptLosesNothing) {
  SeededCases cases;
  const std::uint64_t before = CrashExaminer::states();
  const CrashDepth depth{longRun() ? 20U : 1U, false, kLookAtEach};
  forEachShortScript(
      3, longRun() ? 3 : 2, [&](const std::string& prefix, const std::string& script) {
        cases.run(
            [&](SeededRandom& random) { return crashEverywhere(random, prefix, script, depth); });
      });
  const std::uint64_t states = CrashExaminer::states() - before;
  std::cout << states << " crash states" << std::endl;
  EXPECT_TRUE(states >= (kLookAtEach == 1 ? 100'000U : 5'000U) || cases.isReplay());
}

/// Each unsynced write by itself kept, lost and torn.
TEST(Crash, ThatSinglesOutAnyUnsyncedWriteLosesNothing) {
  SeededCases cases;
  const std::uint64_t before = CrashExaminer::states();
  const std::size_t length = longRun() ? 3 : 2;
  const CrashDepth depth{0, true, longRun() ? 1 : 2 * kLookAtEach};
  forEachShortScript(length, length, [&](const std::string& prefix, const std::string& script) {
    cases.run([&](SeededRandom& random) { return crashEverywhere(random, prefix, script, depth); });
  });
  std::cout << CrashExaminer::states() - before << " crash states" << std::endl;
}

/// Crashes at a random change, recovers (or crashes while it does), and goes on with what it finds.
std::string crashAgainAndAgain(SeededRandom& random, int& crashes) {
  ScriptedSession run(random);
  std::string script;
  for (int life = 0; life < 12 && run.wrong.empty(); ++life) {
    run.machine.stopAfter = run.machine.changes + random.between(1, 60);
    while (!run.machine.stopped() && run.wrong.empty()) {
      // Not the steps that crash by themselves.
      const char step =
          ScriptedSession::kAllSteps[random.between(0, ScriptedSession::kAllSteps.size() - 3)];
      script += step;
      run.run(step, random.between(0, 19));
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
  return run.wrong.empty() ? run.wrong : run.wrong + " after " + script;
}

/// What an earlier crash left must not show after a later one.
TEST(Crash, AgainAndAgainLosesNothing) {
  SeededCases cases;
  int crashes = 0;
  for (std::uint64_t i = 0; i < (longRun() ? 20'000 : 600) / kLookAtEach; ++i) {
    cases.run([&](SeededRandom& random) { return crashAgainAndAgain(random, crashes); });
  }
  std::cout << crashes << " crashes" << std::endl;
}

/// Every call fails once, with both errors; then the disk has room again, and all goes on.
TEST(Crash, AfterAnyFailedCallLosesNothingAcknowledged) {
  SeededCases cases;
  std::uint64_t runs = 0;
  const std::size_t length = longRun() ? 3 : 2;
  forEachShortScript(length, length, [&](const std::string& prefix, const std::string& script) {
    for (const int error : {ENOSPC, EIO}) {
      cases.run([&](SeededRandom& random) {
        return failEachCall(random, {prefix, script + "wf", error}, 2 * kLookAtEach - 1, runs);
      });
    }
  });
  std::cout << runs << " failed calls" << std::endl;
}

/// What a crash left is repaired by `netcow check`, which crashes too.
TEST(Crash, AtEveryChangeOfARepairLosesNothing) {
  SeededCases cases;
  const std::uint64_t before = CrashExaminer::states();
  for (std::uint64_t i = 0; i < (longRun() ? 20'000 : 500) / kLookAtEach; ++i) {
    cases.run([&](SeededRandom& random) {
      ScriptedSession run(random);
      run.machine.stopAfter = run.machine.changes + random.between(1, 60);
      for (int step = 0; step < 20 && !run.machine.stopped(); ++step) {
        const auto steps = ScriptedSession::kAllSteps;
        run.run(steps[random.between(0, steps.size() - 3)], random.between(0, 19));
      }
      run.machine.stopAfter = UINT64_MAX;
      const std::string wrong = CrashExaminer(random, run).examineRepair();
      return run.wrong.empty() ? wrong : run.wrong;
    });
  }
  std::cout << CrashExaminer::states() - before << " crash states" << std::endl;
}

TEST(Crash, WhileASessionIsMadeLeavesNoneOrAnEmptyOne) {
  SeededCases cases;
  for (int i = 0; i < 20; ++i) {
    cases.run([](SeededRandom& random) { return crashInCreate(random); });
  }
}

TEST(Crash, AfterAnyFailedCallASessionCanBeMade) {
  SeededCases cases;
  for (const int error : {ENOSPC, EIO}) {
    cases.run([&](SeededRandom& random) { return failInCreate(random, error); });
  }
}

}  // namespace
}  // namespace netcow::test
