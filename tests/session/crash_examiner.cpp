// SPDX-License-Identifier: Apache-2.0
#include "session/crash_examiner.h"

#include <cerrno>
#include <utility>

#include "session/repair.h"

namespace netcow::test {

using Rule = SessionOracle::Rule;

std::string CrashExaminer::examineNow(std::uint64_t powerCuts) {
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

std::string CrashExaminer::examineEachChange() {
  std::string wrong;
  run_.machine.disk.forEachSingledOut(random_, [&](const SimulatedDisk& disk) {
    if (wrong.empty()) {
      wrong = examine(disk, Rule::powerCut, "power cut");
    }
  });
  return wrong;
}

std::string CrashExaminer::examine(SimulatedDisk disk, Rule rule, const std::string& how) {
  SimulatedMachine machine(random_);
  machine.disk = std::move(disk);
  std::vector<SimulatedDisk> duringRecovery;
  if (random_.oneIn(16)) {
    machine.afterChange = [&] { duringRecovery.push_back(machine.disk); };
  }
  SessionContent content;
  std::string wrong = open(machine, rule, content);
  machine.afterChange = nullptr;
  if (wrong.empty()) {
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

std::string CrashExaminer::crashInRecovery(const SimulatedDisk& disk, Rule rule) {
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

std::string CrashExaminer::examineRepair() {
  const bool cut = run_.machine.syncFailed || random_.oneIn(2);
  const Rule rule = cut ? Rule::powerCut : run_.rule;
  SimulatedDisk disk = run_.machine.disk;
  if (cut) {
    disk.powerCut(random_);
  }
  disk.killProcess();
  SimulatedMachine machine(random_);
  machine.disk = disk;
  std::vector<SimulatedDisk> moments;
  machine.afterChange = [&] { moments.push_back(machine.disk); };
  const RepairReport report = repairSession(*openSimulatedFolder(machine), run_.clock);
  machine.afterChange = nullptr;
  if (!report.after.sound()) {
    return "not sound after a repair: " + report.after.findings.front().what;
  }
  moments.push_back(machine.disk);
  std::string wrong;
  for (std::size_t i = 0; i < moments.size() && wrong.empty(); ++i) {
    wrong = crashInRecovery(moments[i], rule);
  }
  wrong = wrong.empty() ? failInRepair(disk, rule) : wrong;
  return wrong.empty() ? wrong : "repaired: " + wrong;
}

std::string CrashExaminer::failInRepair(const SimulatedDisk& disk, Rule rule) {
  std::string wrong;
  bool came = true;
  for (std::uint64_t n = 1; came && wrong.empty(); n += random_.between(1, 10)) {
    SimulatedMachine machine(random_);
    machine.disk = disk;
    machine.failAt = n;
    machine.error = random_.oneIn(2) ? ENOSPC : EIO;
    try {
      repairSession(*openSimulatedFolder(machine), run_.clock);
    } catch (const std::exception&) {
      // That it fails is right; what it leaves is the question.
    }
    came = machine.failures > 0;
    machine.failAt = 0;
    SessionContent content;
    wrong = open(machine, machine.syncFailed ? Rule::powerCut : rule, content);
  }
  return wrong;
}

std::string CrashExaminer::open(SimulatedMachine& machine, Rule rule, SessionContent& content) {
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

std::string crashEverywhere(SeededRandom& random, const std::string& prefix,
                            const std::string& script, const CrashDepth& depth) {
  ScriptedSession run(random);
  run.runAll(prefix);
  CrashExaminer examiner(random, run);
  std::string wrong;
  run.machine.afterChange = [&] {
    if (!wrong.empty() || !random.oneIn(depth.lookAtEach)) {
      return;
    }
    wrong = examiner.examineNow(depth.powerCuts);
    if (wrong.empty() && depth.eachChange) {
      wrong = examiner.examineEachChange();
    }
    if (!wrong.empty()) {
      wrong += " (at change " + std::to_string(run.machine.changes) + ")";
    }
  };
  run.runAll(script);
  run.machine.afterChange = nullptr;
  wrong = wrong.empty() ? run.wrong : wrong;
  return wrong.empty() ? wrong : prefix + "+" + script + ": " + wrong;
}

void forEachScript(std::size_t length, const std::function<void(const std::string&)>& visit,
                   const std::string& begin) {
  for (const char step : ScriptedSession::kSteps) {
    visit(begin + step);
    if (length > 1) {
      forEachScript(length - 1, visit, begin + step);
    }
  }
}

}  // namespace netcow::test
