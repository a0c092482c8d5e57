// SPDX-License-Identifier: Apache-2.0
#include "session/failed_call.h"

#include "base/errors.h"
#include "session/scripted_session.h"

namespace netcow::test {

using Rule = SessionOracle::Rule;

std::string failOneCall(SeededRandom& random, const FailedCall& failed, std::uint64_t n,
                        bool endsInPowerCut, bool& came) {
  ScriptedSession run(random);
  run.runAll(failed.prefix);
  run.machine.failAt = run.machine.calls + n;
  run.machine.error = failed.error;
  run.machine.fullFor = failed.error == ENOSPC ? random.between(1, 12) : 0;
  run.runAll(failed.script);
  run.crash(endsInPowerCut ? Rule::powerCut : Rule::killed);
  came = run.machine.failures > 0;
  for (int tries = 0; tries < 20 && !run.reopen() && run.wrong.empty(); ++tries) {
    run.crash(Rule::killed);  // it failed while recovering: try again
  }
  return run.wrong.empty() ? run.wrong
                           : failed.prefix + "+" + failed.script + ", call " + std::to_string(n) +
                                 " fails: " + run.wrong;
}

std::string failEachCall(SeededRandom& random, const FailedCall& failed, std::uint64_t step,
                         std::uint64_t& runs) {
  bool came = true;
  std::string wrong;
  for (std::uint64_t n = 1; came && wrong.empty(); n += random.between(1, step)) {
    wrong = failOneCall(random, failed, n, random.oneIn(2), came);
    runs += came ? 1 : 0;
  }
  return wrong;
}

namespace {

constexpr std::uint64_t kBaseSize = 3 * kClusterSize;

std::unique_ptr<Session> makeSession(SimulatedMachine& machine, const Clock& clock) {
  NewSession settings;
  settings.imageName = "image";
  settings.baseSize = kBaseSize;
  settings.maxImageSize = kTableSpan;
  return Session::create(openSimulatedFolder(machine), settings, clock);
}

/// Empty if there is no session, or an empty one, and another can be made.
std::string examineNew(SeededRandom& random, const SimulatedDisk& disk) {
  const FakeClock clock;
  SimulatedMachine machine(random);
  machine.disk = disk;
  machine.disk.killProcess();
  try {
    const auto session = Session::open(openSimulatedFolder(machine), clock);
    if (session->localClusterCount() != 0 || session->imageSize() != kBaseSize) {
      return "a new session is not empty";
    }
  } catch (const UserError& error) {
    if (std::string(error.what()).find("is no session") == std::string::npos) {
      return error.what();
    }
  }
  machine.disk.killProcess();
  try {
    makeSession(machine, clock);
  } catch (const std::exception& error) {
    return std::string("no session can be made afterwards: ") + error.what();
  }
  return {};
}

}  // namespace

std::string crashInCreate(SeededRandom& random) {
  const FakeClock clock;
  SimulatedMachine machine(random);
  std::string wrong;
  machine.afterChange = [&] {
    if (wrong.empty()) {
      wrong = examineNew(random, machine.disk);
    }
    if (wrong.empty()) {
      SimulatedDisk disk = machine.disk;
      disk.powerCut(random);
      wrong = examineNew(random, disk);
    }
  };
  makeSession(machine, clock);
  machine.afterChange = nullptr;
  return wrong;
}

std::string failInCreate(SeededRandom& random, int error) {
  const FakeClock clock;
  std::string wrong;
  for (std::uint64_t n = 1; wrong.empty(); ++n) {
    SimulatedMachine machine(random);
    machine.failAt = n;
    machine.error = error;
    try {
      makeSession(machine, clock);
    } catch (const std::exception&) {
    }
    if (machine.failures == 0) {
      break;
    }
    wrong = examineNew(random, machine.disk);
  }
  return wrong;
}

}  // namespace netcow::test
