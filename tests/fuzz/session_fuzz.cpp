// SPDX-License-Identifier: Apache-2.0
// Whatever lies in a session's folder: it is opened or refused with one line. What is opened can be
// read, written, closed and killed, and is the same when it is opened again.
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/errors.h"
#include "fuzz/forged_session.h"
#include "fuzz/held_content.h"
#include "session/loader.h"
#include "session/session.h"
#include "support/fake_clock.h"

namespace netcow::test {
namespace {

std::unique_ptr<Session> reopen(SimulatedMachine& machine, const Clock& clock) {
  machine.disk.killProcess();
  return Session::open(openSimulatedFolder(machine), clock);
}

bool canBeRead(SimulatedMachine& machine, const Clock& clock) {
  try {
    const auto folder = openSimulatedFolder(machine);
    loadSession(*folder, LoadFor::reading, clock);
    return true;
  } catch (const UserError& error) {
    demand(std::strchr(error.what(), '\n') == nullptr, "a refusal is one line");
    return false;
  }
}

/// How many findings keep a session from being opened, when none ends the search.
std::size_t findings(SimulatedMachine& machine, const Clock& clock) {
  const auto folder = openSimulatedFolder(machine);
  std::size_t unsound = 0;
  examineSession(*folder, LoadFor::reading, clock, [&unsound](const Finding& finding) {
    demand(finding.what.find('\n') == std::string::npos, "a finding is one line");
    unsound += finding.kindClass().unsound ? 1 : 0;
  });
  return unsound;
}

/// Changes a session in every way there is, near its places of interest.
void work(Session& session, FakeClock& clock) {
  const std::uint64_t last = roundDown(session.maxImageSize() - 1, kBlockSize);
  const std::vector<std::byte> content(2 * kBlockSize, std::byte{9});
  for (const std::uint64_t offset : {std::uint64_t{0}, std::min(last, kClusterSize - kBlockSize),
                                     last / 2 / kBlockSize * kBlockSize}) {
    const std::uint64_t length =
        std::min<std::uint64_t>(content.size(), last + kBlockSize - offset);
    demand(!session.write(std::span(content).first(length), offset), "a session can be written");
  }
  demand(!session.zeroLocal(1, session.maxImageSize() - 1), "a session can be zeroed");
  const std::uint64_t firstPart =
      roundDown(std::min(3 * kClusterSize, session.maxImageSize()), kBlockSize);
  demand(!session.zero(0, firstPart), "a part of a session can be zeroed");
  demand(!session.setSizes(session.maxImageSize(), kBlockSize), "a session can be resized");
  std::uint64_t found = 0;
  demand(!session.findData(0, session.imageSize(), found) &&
             !session.findHole(found, session.imageSize(), found),
         "data and holes can be found");
  clock.advance(std::chrono::seconds(100));
  for (int i = 0; i < 3; ++i) {
    if (const auto cluster = session.takeDirty(clock.now())) {
      const auto snapshot = session.snapshot(*cluster);
      session.acknowledgeUpload(*cluster, snapshot.changes);
    }
  }
  const std::uint64_t smallest = std::min(kBlockSize, session.maxImageSize());
  demand(!session.setSizes(smallest, smallest) && !session.checkpoint() &&
             !session.releaseBehindEnd() && !session.holdsSpaceBehindEnd(),
         "what lies behind the end can be given back");
}

void openAndUse(SimulatedMachine& machine) {
  FakeClock clock;
  const bool readable = canBeRead(machine, clock);
  demand((findings(machine, clock) == 0) == readable, "a session is sound if it can be opened");
  demand(machine.changes == 0, "reading changes nothing");
  std::unique_ptr<Session> session;
  try {
    session = reopen(machine, clock);
  } catch (const UserError&) {
    demand(machine.changes == 0, "a session that is refused is left as it is");
  }
  demand(readable == (session != nullptr), "what can be read can be opened");
  if (session == nullptr) {
    return;
  }
  const HeldContent found = HeldContent::of(*session);
  session.reset();
  session = reopen(machine, clock);
  demand(HeldContent::of(*session) == found, "opened again after a kill it is the same");
  work(*session, clock);
  const HeldContent worked = HeldContent::of(*session);
  session.reset();
  session = reopen(machine, clock);
  demand(HeldContent::of(*session) == worked, "a kill takes nothing back");
  demand(!session->close(), "a session can be closed");
  session.reset();
  session = reopen(machine, clock);
  demand(session->recovery().empty(), "a close leaves nothing to recover");
  demand(HeldContent::of(*session) == worked, "closed and opened again it is the same");
}

}  // namespace
}  // namespace netcow::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace netcow::test;
  static SeededRandom random(1);
  FuzzInput input({data, size});
  SimulatedMachine machine(random);
  forgeSession(input, machine);
  openAndUse(machine);
  return 0;
}
