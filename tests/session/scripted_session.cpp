// SPDX-License-Identifier: Apache-2.0
#include "session/scripted_session.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "base/errors.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kImageSize = 2 * kTableSpan + 2 * kClusterSize;
constexpr std::uint64_t kTableBlocks = kTableSpan / kBlockSize;

/// First sectors and counts.
struct Extent {
  std::uint64_t first;
  std::uint64_t count;
};
constexpr Extent blocks(std::uint64_t first, std::uint64_t count) {
  return {first * kSectorsPerBlock, count * kSectorsPerBlock};
}
/// From some sectors into a block on.
constexpr Extent within(std::uint64_t block, std::uint64_t sector, std::uint64_t count) {
  return {block * kSectorsPerBlock + sector, count};
}

/// The first three overlap.
constexpr Extent kWholeBlocks[] = {blocks(0, 2),
                                   blocks(1, 2),
                                   blocks(0, 1),
                                   blocks(318, 2),
                                   blocks(kTableBlocks, 2),
                                   blocks(2 * kTableBlocks + 1, 1)};
constexpr Extent kParts[] = {within(1, 3, 2), within(0, 0, 5), within(1, 4, 4), within(319, 2, 3),
                             within(2 * kTableBlocks + 1, 7, 1)};
constexpr Extent kStraddling[] = {within(kBlocksPerCluster - 1, 5, 6), blocks(kTableBlocks - 1, 2),
                                  within(0, 6, 12), within(kTableBlocks - 1, 0, 11),
                                  blocks(kBlocksPerCluster - 2, 3)};
constexpr Extent kDiscarded[] = {blocks(0, 3), within(0, 3, 12), blocks(kBlocksPerCluster - 1, 2),
                                 within(kTableBlocks - 1, 2, 9), blocks(2 * kTableBlocks, 4)};
constexpr std::uint64_t kShrunkTo[] = {kBlockSize, kClusterSize + 3 * kSectorSize,
                                       kTableSpan - kSectorSize, 2 * kSectorSize};

template <class T, std::size_t N>
const T& pick(const T (&from)[N], std::uint64_t place) {
  return from[place % N];
}

/// Reads while nothing goes wrong and nothing counts.
template <class Read>
auto undisturbed(SimulatedMachine& machine, Read read) {
  const auto failAt = std::exchange(machine.failAt, 0);
  const auto stopAfter =
      std::exchange(machine.stopAfter, std::numeric_limits<std::uint64_t>::max());
  const auto calls = machine.calls;
  auto result = read();
  machine.failAt = failAt;
  machine.stopAfter = stopAfter;
  machine.calls = calls;
  return result;
}

}  // namespace

ScriptedSession::ScriptedSession(SeededRandom& random) : machine(random), base(kImageSize) {
  NewSession settings;
  settings.imageName = "image";
  settings.uploadUuid = "upload";
  settings.baseSize = kImageSize;
  settings.maxImageSize = 3 * kTableSpan;
  session = Session::create(openSimulatedFolder(machine), settings, clock);
  image = std::make_unique<Image>(base, session.get());
  oracle.adopt(SessionContent::of(*session));
}

ScriptedSession::~ScriptedSession() {
  machine.afterChange = nullptr;
  machine.beforeWrite = nullptr;
  dropSession();
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
  const std::uint64_t failures = machine.failures;
  reported_ = false;
  step(name, place);
  const bool failedNow = machine.failures > failures;
  // An upload that cannot be noted is only sent again, space that cannot be given back is later.
  const bool mayHide = name == 'u' || name == 'b' || name == 'd';
  if (failedNow && !reported_ && !mayHide) {
    complain("a failed call was not reported");
  }
  if (reported_ && !failedNow && !machine.stopped() && !machine.syncFailed) {
    complain("an error out of nothing");
  }
  if (base.wasAskedWrongly()) {
    complain("the base was asked for what it does not have");
  }
}

void ScriptedSession::step(char name, std::uint64_t place) {
  const auto write = [this](const Extent& extent, bool hold) {
    this->write(extent.first, extent.count, hold);
  };
  switch (name) {
    case 'w':
      return write(pick(kWholeBlocks, place), false);
    case 'p':
      return write(pick(kParts, place), false);
    case 's':
      return write(pick(kStraddling, place), false);
    case 'h':
      return write(pick(kParts, place), true);
    case 'a':
      return answerBase();
    case 'z':
      return discard(pick(kDiscarded, place).first, pick(kDiscarded, place).count);
    case 'e':
      answerBase();
      succeeded(image->reserve(pick(kStraddling, place).first * kSectorSize, kBlockSize, true));
      return;
    case 'f':
      return checkpoint(image->flush());
    case 'c':
      return checkpoint(session->checkpoint());
    case 'd':
      return resize(std::min(image->size(), pick(kShrunkTo, place)));
    case 'g':
      return resize(std::max(image->size(), kImageSize));
    case 'b':
      return beginUpload();
    case 'u':
      beginUpload();
      return endUpload();
    case 'r':
      return close();
    case 'k':
    case 'x':
      crash(name == 'k' ? SessionOracle::Rule::killed : SessionOracle::Rule::powerCut);
      reopen();
      return;
    default:
      complain(std::string("no such step: ") + name);
  }
}

// --- content --------------------------------------------------------------------------------

void ScriptedSession::write(std::uint64_t firstSector, std::uint64_t sectors, bool hold) {
  auto& write = *writes_.emplace_back(
      std::make_unique<Write>(Write{firstSector, sectors, nextTag_, image->size(), {}}));
  nextTag_ += sectors;
  for (std::uint64_t i = 0; i < sectors; ++i) {
    const auto sector = sectorOf(write.tag + i);
    write.bytes.insert(write.bytes.end(), sector.begin(), sector.end());
  }
  if (write.grows()) {
    answerBase();
    oracle.beginSizes(write.sizeBefore, write.end(), session->validRemoteSize());
  }
  oracle.beginWrite(firstSector, sectors, write.tag);
  base.hold = hold && !write.grows();
  image->write(write.bytes, firstSector * kSectorSize,
               [this, &write](const std::error_code& error) { endWrite(write, error); });
  base.hold = false;
  std::erase_if(writes_, [](const auto& one) { return one->ended; });
}

void ScriptedSession::endWrite(Write& write, const std::error_code& error) {
  write.ended = true;
  if (!succeeded(error)) {
    oracle.endWrite(write.firstSector, write.sectors, write.tag);
    return;
  }
  if (write.grows()) {
    oracle.confirmSizes(write.sizeBefore, write.end(), session->validRemoteSize());
  }
  oracle.confirmWrite(write.firstSector, write.sectors, write.tag);
}

void ScriptedSession::answerBase() {
  base.answerAll();
  std::erase_if(writes_, [](const auto& one) { return one->ended; });
}

void ScriptedSession::discard(std::uint64_t firstSector, std::uint64_t sectors) {
  answerBase();
  const std::uint64_t size = image->size();
  const std::uint64_t begin = firstSector * kSectorSize;
  const std::uint64_t end = (firstSector + sectors) * kSectorSize;
  // The last block of the image counts as covered to its end.
  const std::uint64_t covered = end >= size ? roundUp(size, kBlockSize) : end;
  sectors = begin < size ? (covered - begin) / kSectorSize : 0;
  if (sectors > 0) {
    oracle.beginDiscard(firstSector, sectors);
  }
  image->zero(begin, end - begin, true, [&](const std::error_code& error) {
    if (succeeded(error) && sectors > 0) {
      oracle.confirmDiscard(firstSector, sectors);
    }
  });
}

void ScriptedSession::resize(std::uint64_t size) {
  answerBase();
  const std::uint64_t visible = std::min(session->validRemoteSize(), size);
  const std::uint64_t before = image->size();
  oracle.beginSizes(before, size, visible);
  if (succeeded(image->resize(size))) {
    oracle.confirmSizes(before, size, visible);
  }
}

void ScriptedSession::checkpoint(const std::error_code& result) {
  if (succeeded(result)) {
    oracle.confirmCheckpoint();
    if (machine.syncFailed) {
      complain("a checkpoint succeeded after a sync had failed");
    }
  }
}

// --- uploads --------------------------------------------------------------------------------

void ScriptedSession::beginUpload() {
  if (upload_) {
    return;
  }
  const auto cluster = session->takeDirty(clock.now());
  if (!cluster) {
    return;
  }
  const Session::Snapshot snapshot = session->snapshot(*cluster);
  if (machine.stopped() || snapshot.notDurable) {
    session->returnDirty(*cluster);
    return;
  }
  SessionContent content = undisturbed(machine, [this] { return SessionContent::of(*session); });
  oracle.uploaded(*cluster, content.clusters[*cluster].blocks);
  upload_ = {*cluster, snapshot.changes};
}

void ScriptedSession::endUpload() {
  if (const auto upload = std::exchange(upload_, std::nullopt)) {
    session->acknowledgeUpload(upload->cluster, upload->changes);
  }
}

// --- ends -----------------------------------------------------------------------------------

void ScriptedSession::close() {
  answerBase();
  upload_.reset();
  if (!succeeded(session->close())) {
    if (machine.stopped()) {
      return;
    }
    // It stays recoverable: go on as after a kill.
    crash(SessionOracle::Rule::killed);
    reopen();
    return;
  }
  if (machine.syncFailed) {
    complain("a close succeeded after a sync had failed");
  }
  oracle.confirmCheckpoint();
  dropSession();
  if (reopen() && !session->recovery().empty()) {
    complain("a session closed cleanly was recovered: " + session->recovery());
  }
}

/// Nothing that is still under way has an effect.
void ScriptedSession::dropSession() {
  const bool reported = reported_;
  const auto stopAfter = std::exchange(machine.stopAfter, 0);
  base.answerAll(EIO);
  writes_.clear();
  upload_.reset();
  image.reset();
  session.reset();
  machine.stopAfter = stopAfter;
  reported_ = reported;
}

void ScriptedSession::crash(SessionOracle::Rule crashRule) {
  dropSession();
  machine.stopAfter = std::numeric_limits<std::uint64_t>::max();
  machine.disk.killProcess();
  if (crashRule == SessionOracle::Rule::powerCut) {
    machine.disk.powerCut(machine.random);
    rule = crashRule;
  }
}

bool ScriptedSession::reopen() {
  const std::uint64_t failures = machine.failures;
  if (machine.syncFailed) {
    rule = SessionOracle::Rule::powerCut;
  }
  try {
    session = Session::open(openSimulatedFolder(machine), clock);
  } catch (const std::exception& error) {
    reported_ = true;
    if (!machine.stopped() && machine.failures == failures) {
      complain(std::string("cannot be opened: ") + error.what());
    }
    return false;
  }
  image = std::make_unique<Image>(base, session.get());
  const SessionContent content =
      undisturbed(machine, [this] { return SessionContent::of(*session); });
  if (const auto violation = oracle.violation(content, rule); !violation.empty()) {
    complain(violation);
  }
  compareReads(content);
  if (machine.syncFailed) {
    diskFailed_ = true;
    return true;
  }
  oracle.adopt(content);
  rule = SessionOracle::Rule::killed;
  return true;
}

/// The image shows what the session holds, with the base and zeros round it.
void ScriptedSession::compareReads(const SessionContent& content) {
  std::vector<std::uint64_t> numbers = oracle.touchedBlocks();
  for (const std::uint64_t size : kShrunkTo) {
    numbers.push_back(size / kBlockSize);
  }
  undisturbed(machine, [&] {
    for (const std::uint64_t number : numbers) {
      std::array<std::byte, kBlockSize> bytes;
      image->read(bytes, number * kBlockSize, [&](const std::error_code& error) {
        if (error) {
          complain("the image cannot be read");
        }
      });
      for (std::uint64_t s = 0; s < kSectorsPerBlock; ++s) {
        const std::uint64_t sector = number * kSectorsPerBlock + s;
        if (tagOf(std::span(bytes).subspan(s * kSectorSize, kSectorSize)) != content.read(sector)) {
          complain("the image reads otherwise than the session is, in sector " +
                   std::to_string(sector));
        }
      }
    }
    return 0;
  });
}

}  // namespace netcow::test
