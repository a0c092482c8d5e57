// SPDX-License-Identifier: Apache-2.0
// Whatever lies in a session's folder: checking it changes nothing and agrees with opening it;
// repairing it leaves nothing to repair, and changes nothing that could be read before.
#include <cstring>
#include <optional>

#include "base/errors.h"
#include "fuzz/forged_session.h"
#include "fuzz/held_content.h"
#include "session/check.h"
#include "session/repair.h"
#include "support/fake_clock.h"

namespace netcow::test {
namespace {

std::optional<HeldContent> openedCopy(const SimulatedMachine& machine, const Clock& clock) {
  SimulatedMachine copy(machine.random);
  copy.disk = machine.disk;
  copy.disk.killProcess();
  try {
    return HeldContent::of(*Session::open(openSimulatedFolder(copy), clock));
  } catch (const UserError&) {
    return std::nullopt;
  }
}

void checkAndRepair(SimulatedMachine& machine) {
  const FakeClock clock;
  const auto before = openedCopy(machine, clock);
  const CheckReport found = checkSession(*openSimulatedFolder(machine));
  demand(machine.changes == 0, "a check changes nothing");
  demand(before.has_value() == found.sound(), "a session is sound if it can be opened");
  for (const Finding& finding : found.findings) {
    demand(finding.what.find('\n') == std::string::npos, "a finding is one line");
  }
  const RepairReport repair = repairSession(*openSimulatedFolder(machine), clock);
  demand(found.repairable > 0 || machine.changes == 0, "nothing is repaired that was found well");
  demand(found.hopeless() == 0 || machine.changes == 0, "nothing is changed beside real damage");
  const auto after = openedCopy(machine, clock);
  demand(!before || after == before, "a repair changes nothing that can be read");
  if (found.live == LiveState::dropped) {
    repairSession(*openSimulatedFolder(machine), clock);  // gives back the space, and that is all
  }
  const std::uint64_t changes = machine.changes;
  const RepairReport again = repairSession(*openSimulatedFolder(machine), clock);
  demand(machine.changes == changes && again.done.empty(), "a second repair finds nothing to do");
}

}  // namespace
}  // namespace netcow::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace netcow::test;
  static SeededRandom random(1);
  FuzzInput input({data, size});
  SimulatedMachine machine(random);
  forgeSession(input, machine);
  checkAndRepair(machine);
  return 0;
}
