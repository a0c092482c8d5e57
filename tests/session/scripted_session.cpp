// SPDX-License-Identifier: Apache-2.0
#include "session/scripted_session.h"

#include <cerrno>
#include <limits>
#include <utility>

#include "base/errors.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kImageSize = 2 * kTableSpan + 2 * kClusterSize;
constexpr std::uint64_t kTableBlocks = kTableSpan / kBlockSize;

/// First blocks and counts of whole-block writes; the first three overlap.
struct Extent {
  std::uint64_t first;
  std::uint64_t count;
};
constexpr Extent kWholeBlocks[] = {
    {0, 2}, {1, 2}, {0, 1}, {318, 2}, {kTableBlocks, 2}, {2 * kTableBlocks + 1, 1}};
constexpr Extent kStraddling[] = {{kBlocksPerCluster - 1, 2},
                                  {kTableBlocks - 1, 2},
                                  {kBlocksPerCluster - 2, 3},
                                  {2 * kTableBlocks - 1, 2}};
constexpr std::uint64_t kShrunkTo[] = {kBlockSize, kClusterSize + 3 * kSectorSize,
                                       kTableSpan - kSectorSize};

template <class T, std::size_t N>
const T& pick(const T (&from)[N], std::uint64_t place) {
  return from[place % N];
}

/// What a session holds, read while nothing goes wrong and nothing counts.
SessionContent readUndisturbed(SimulatedMachine& machine, const Session& session) {
  const auto failAt = std::exchange(machine.failAt, 0);
  const auto stopAfter =
      std::exchange(machine.stopAfter, std::numeric_limits<std::uint64_t>::max());
  const auto calls = machine.calls;
  SessionContent content = SessionContent::of(session);
  machine.failAt = failAt;
  machine.stopAfter = stopAfter;
  machine.calls = calls;
  return content;
}

}  // namespace

ScriptedSession::ScriptedSession(SeededRandom& random) : machine(random) {
  NewSession settings;
  settings.imageName = "image";
  settings.uploadUuid = "upload";
  settings.baseSize = kImageSize;
  settings.maxImageSize = 3 * kTableSpan;
  session = Session::create(openSimulatedFolder(machine), settings, clock);
  oracle.adopt(SessionContent::of(*session));
}

void ScriptedSession::complain(const std::string& what) {
  if (wrong.empty()) {
    wrong = what;
  }
}

bool ScriptedSession::succeeded(const std::error_code& error) {
  reported_ = reported_ || error;
  return !error;
}

void ScriptedSession::runAll(std::string_view script) {
  for (std::size_t i = 0; i < script.size(); ++i) {
    run(script[i], i);
  }
}

void ScriptedSession::run(char name, std::uint64_t place) {
  if (machine.stopped() || (session == nullptr && !reopen()) || diskFailed_) {
    return;
  }
  clock.advance(std::chrono::seconds(1));
  const bool hadFailed = machine.failed;
  reported_ = false;
  step(name, place);
  const bool failedNow = machine.failed && !hadFailed;
  // An upload that cannot be noted is only sent again.
  if (failedNow && !reported_ && name != 'u') {
    complain("a failed call was not reported");
  }
  if (reported_ && !failedNow && !machine.stopped() && !machine.syncFailed) {
    complain("an error out of nothing");
  }
}

void ScriptedSession::step(char name, std::uint64_t place) {
  switch (name) {
    case 'w': {
      const Extent extent = pick(kWholeBlocks, place);
      write(extent.first * kSectorsPerBlock, extent.count * kSectorsPerBlock);
      break;
    }
    case 's': {
      const Extent extent = pick(kStraddling, place);
      write(extent.first * kSectorsPerBlock, extent.count * kSectorsPerBlock);
      break;
    }
    case 'p':
      if (const auto local = oracle.localBlocks(); !local.empty()) {
        write(local[place % local.size()] * kSectorsPerBlock + 3, 2);
      }
      break;
    case 'z':
      zero(3 * kSectorSize, kTableSpan + kBlockSize);
      break;
    case 'c': {
      const bool done = succeeded(session->checkpoint());
      if (done && machine.syncFailed) {
        complain("a checkpoint succeeded after a sync had failed");
      } else if (done) {
        oracle.confirmCheckpoint();
      }
      break;
    }
    case 'd': {
      const std::uint64_t size = std::min(session->imageSize(), pick(kShrunkTo, place));
      setSizes(size, std::min(session->validRemoteSize(), size));
      break;
    }
    case 'g':
      growTo(kImageSize);
      break;
    case 'u':
      upload();
      break;
    case 'r':
      close();
      break;
    case 'k':
    case 'x':
      crash(name == 'k' ? SessionOracle::Rule::killed : SessionOracle::Rule::powerCut);
      reopen();
      break;
    default:
      complain(std::string("no such step: ") + name);
  }
}

void ScriptedSession::write(std::uint64_t firstSector, std::uint64_t sectors) {
  // As Image does: what is written past the end grows the image first.
  growTo((firstSector + sectors) * kSectorSize);
  if (reported_) {
    return;
  }
  const Tag tag = nextTag_;
  nextTag_ += sectors;
  std::vector<std::byte> bytes;
  for (std::uint64_t i = 0; i < sectors; ++i) {
    const auto sector = sectorOf(tag + i);
    bytes.insert(bytes.end(), sector.begin(), sector.end());
  }
  oracle.beginWrite(firstSector, sectors, tag);
  if (succeeded(session->write(bytes, firstSector * kSectorSize))) {
    oracle.confirmWrite(firstSector, sectors, tag);
  }
}

void ScriptedSession::zero(std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t first = begin / kSectorSize;
  const std::uint64_t sectors = (end - begin) / kSectorSize;
  oracle.beginZero(first, sectors);
  if (succeeded(session->zeroLocal(begin, end - begin))) {
    oracle.confirmZero(first, sectors);
  }
}

void ScriptedSession::setSizes(std::uint64_t imageSize, std::uint64_t validRemoteSize) {
  oracle.beginSizes(imageSize, validRemoteSize);
  if (succeeded(session->setSizes(imageSize, validRemoteSize))) {
    oracle.confirmSizes(imageSize, validRemoteSize);
  }
}

void ScriptedSession::growTo(std::uint64_t end) {
  const std::uint64_t size = session->imageSize();
  if (end > size && !reported_) {
    zero(size, end);
    if (!reported_) {
      setSizes(end, session->validRemoteSize());
    }
  }
}

void ScriptedSession::upload() {
  const auto cluster = session->takeDirty(clock.now());
  if (!cluster) {
    return;
  }
  const bool failedBefore = machine.failed;
  const Session::Snapshot snapshot = session->snapshot(*cluster);
  if (machine.stopped() || machine.syncFailed || machine.failed != failedBefore) {
    return;
  }
  SessionContent content = readUndisturbed(machine, *session);
  oracle.uploaded(*cluster, content.clusters[*cluster].blocks);
  session->acknowledgeUpload(*cluster, snapshot.changes);
}

void ScriptedSession::close() {
  if (!succeeded(session->close())) {
    // It stays recoverable: go on as after a kill.
    crash(SessionOracle::Rule::killed);
    reopen();
    return;
  }
  if (machine.syncFailed) {
    complain("a close succeeded after a sync had failed");
  }
  oracle.confirmCheckpoint();
  session.reset();
  if (reopen() && !session->recovery().empty()) {
    complain("a session closed cleanly was recovered: " + session->recovery());
  }
}

void ScriptedSession::crash(SessionOracle::Rule crashRule) {
  session.reset();
  machine.stopAfter = std::numeric_limits<std::uint64_t>::max();
  machine.disk.killProcess();
  if (crashRule == SessionOracle::Rule::powerCut) {
    machine.disk.powerCut(machine.random);
    rule = crashRule;
  }
}

bool ScriptedSession::reopen() {
  const bool failedBefore = machine.failed;
  if (machine.syncFailed) {
    rule = SessionOracle::Rule::powerCut;
  }
  try {
    session = Session::open(openSimulatedFolder(machine), clock);
  } catch (const std::exception& error) {
    reported_ = true;
    if (!machine.stopped() && machine.failed == failedBefore) {
      complain(std::string("cannot be opened: ") + error.what());
    }
    return false;
  }
  const SessionContent content = readUndisturbed(machine, *session);
  if (const auto violation = oracle.violation(content, rule); !violation.empty()) {
    complain(violation);
  }
  if (machine.syncFailed) {
    diskFailed_ = true;
    return true;
  }
  oracle.adopt(content);
  rule = SessionOracle::Rule::killed;
  return true;
}

}  // namespace netcow::test
