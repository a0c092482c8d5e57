// SPDX-License-Identifier: Apache-2.0
// Sessions damaged at random: whatever the files hold, checking and loading agree, neither does
// more than say so, and a repair changes nothing of what can be read.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <map>
#include <optional>

#include "base/errors.h"
#include "session/repair.h"
#include "session/session.h"
#include "session/simulated_folder.h"
#include "support/fake_clock.h"

namespace netcow::test {
namespace {

// Places as docs/formats/session.md says.
constexpr std::uint64_t kTables = 4;
constexpr std::uint64_t kL1Place = 320;
constexpr std::uint64_t kL2Place = 65'536;
constexpr std::uint64_t kEntryBytes = 64;
constexpr std::uint64_t kTableLength = 65'536;
constexpr std::uint64_t kLivePlace = 131'072;  // where the bytes of `meta` begin in `live`

/// Unoptimised and sanitized builds try fewer.
#ifdef NDEBUG
constexpr int kShare = 1;
#else
constexpr int kShare = 10;
#endif

/// A hash of what every local block of an open session reads as, by its number.
using Blocks = std::map<std::uint64_t, std::size_t>;

Blocks blocksOf(const Session& session) {
  Blocks blocks;
  session.forEachCluster([&](const ClusterInfo& info) {
    for (std::uint64_t i = 0; i < kBlocksPerCluster; ++i) {
      if (info.bits.test(i)) {
        std::string content(kBlockSize, '\0');
        EXPECT_FALSE(
            session.readBlocks(info.cluster, i, std::as_writable_bytes(std::span(content))));
        blocks[info.cluster * kBlocksPerCluster + i] = std::hash<std::string>{}(content);
      }
    }
  });
  return blocks;
}

class DamagedSession {
 public:
  explicit DamagedSession(SeededRandom& random) : machine_(random), random_(random) {
    NewSession settings;
    settings.imageName = "image";
    settings.baseSize = kTables * kTableSpan;
    settings.maxImageSize = kTables * kTableSpan;
    session_ = Session::create(openSimulatedFolder(machine_), settings, clock_);
    writeSome();
    if (random_.oneIn(2)) {
      EXPECT_FALSE(session_->close());
    } else {
      EXPECT_FALSE(session_->checkpoint());
      writeSome();
    }
    session_.reset();
    machine_.disk.killProcess();
  }

  /// Damages one of the files.
  void damage() { damage(fileToDamage()); }
  void damage(const char* name) {
    std::unique_ptr<File> file;
    ASSERT_FALSE(openSimulatedFolder(machine_)->open(name, file));
    std::uint64_t size = 0;
    ASSERT_FALSE(file->size(size));
    if (random_.oneIn(12)) {
      ASSERT_FALSE(file->resize(random_.oneIn(4) ? 0 : random_.between(0, size + kClusterSize)));
      return;
    }
    const std::uint64_t shift = name == std::string("live") ? kLivePlace : 0;
    const std::uint64_t place = name == std::string("data") ? random_.between(0, 16) : metaPlace();
    const auto bytes = newBytes();
    ASSERT_FALSE(file->write(bytes, random_.oneIn(6) ? random_.between(0, 200) : shift + place));
  }

  /// Content of the session as opening it shows it; nothing if that is refused. Changes nothing.
  std::optional<Blocks> open() {
    const SimulatedDisk before = machine_.disk;
    std::optional<Blocks> blocks;
    try {
      blocks = blocksOf(*Session::open(openSimulatedFolder(machine_), clock_));
    } catch (const UserError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      refusal_ = error.what();
    }
    machine_.disk = before;
    return blocks;
  }

  [[nodiscard]] const std::string& refusal() const { return refusal_; }

  CheckReport check() {
    const auto changes = machine_.changes;
    const CheckReport report = checkSession(*openSimulatedFolder(machine_));
    EXPECT_EQ(machine_.changes, changes) << "a check changed something";
    return report;
  }
  RepairReport repair() { return repairSession(*openSimulatedFolder(machine_), clock_); }
  SimulatedMachine& machine() { return machine_; }

 private:
  const char* fileToDamage() {
    const bool open = machine_.disk.find("live") != 0;
    switch (random_.between(0, 5)) {
      case 0:
        return "data";
      case 1:
      case 2:
        return open ? "live" : "meta";
      default:
        return "meta";
    }
  }
  /// Mostly somewhere that counts.
  std::uint64_t metaPlace() {
    switch (random_.between(0, 3)) {
      case 0:
        return random_.between(0, 10) * 8;
      case 1:
        return kL1Place + random_.between(0, kTables - 1) * 4;
      default:
        return kL2Place + random_.between(0, kTables - 1) * kTableLength +
               random_.between(0, 3) * kEntryBytes + random_.between(0, 7) * 8;
    }
  }
  std::vector<std::byte> newBytes() {
    if (random_.oneIn(3)) {
      return random_.bytes(random_.between(1, 8));
    }
    constexpr std::int64_t kCluster = 1'310'720;
    const std::int64_t values[] = {0,
                                   1,
                                   -1,
                                   2,
                                   3,
                                   kCluster,
                                   2 * kCluster,
                                   3 * kCluster,
                                   1'000 * kCluster,
                                   std::numeric_limits<std::int64_t>::max(),
                                   std::numeric_limits<std::int64_t>::min()};
    const LittleEndian<std::int64_t> value = values[random_.between(0, std::size(values) - 1)];
    const auto bytes = std::as_bytes(std::span(&value, 1)).first(random_.oneIn(2) ? 8 : 4);
    return {bytes.begin(), bytes.end()};
  }
  void writeSome() {
    for (std::uint64_t i = random_.between(1, 5); i > 0; --i) {
      const std::uint64_t block = random_.between(0, 2) * kTableSpan / kBlockSize +
                                  random_.between(0, 2) * kBlocksPerCluster +
                                  random_.between(0, kBlocksPerCluster - 3);
      EXPECT_FALSE(
          session_->write(random_.bytes(random_.between(1, 3) * kBlockSize), block * kBlockSize));
    }
  }

  SimulatedMachine machine_;
  std::string refusal_;
  SeededRandom& random_;
  FakeClock clock_;
  std::unique_ptr<Session> session_;
};

TEST(CheckAndRepair, AgreeWithLoadingAndChangeNothingThatCanBeRead) {
  SeededRandom random;
  int refused = 0;
  int mended = 0;
  int noted = 0;
  for (int i = 0; i < 2'500 / kShare && !testing::Test::HasFailure(); ++i) {
    DamagedSession session(random);
    for (std::uint64_t n = random.between(1, 3); n > 0; --n) {
      session.damage();
    }
    const auto before = session.open();
    const CheckReport checked = session.check();
    ASSERT_EQ(checked.sound(), before.has_value())
        << i << ": " << (checked.findings.empty() ? "" : checked.findings.front().what);
    const RepairReport report = session.repair();
    const auto after = session.open();
    ASSERT_EQ(report.after.sound(), after.has_value()) << i;
    // A run that drops `live` leaves space as it is, and the next one gives it back.
    const bool dropped = checked.live == LiveState::dropped;
    if (before) {
      ASSERT_TRUE(report.after.findings.empty() ||
                  (dropped && report.after.findings.front().kind == FindingKind::leakedSpace))
          << i << report.after.findings.front().what;
      ASSERT_EQ(*before, *after) << i;
    }
    if (dropped) {
      session.repair();
    }
    ASSERT_TRUE(session.repair().done.empty()) << i << ": a second repair found more to do";
    refused += before ? 0 : 1;
    mended += !before && after ? 1 : 0;
    noted += before && !report.done.empty() ? 1 : 0;
  }
  std::cout << refused << " refused, " << mended << " of them mended, " << noted
            << " mended that were sound" << std::endl;
  EXPECT_GT(refused, 1'000 / kShare);
  EXPECT_GE(mended, 5 / kShare);
  EXPECT_GT(noted, 100 / kShare);
}

/// The simulated disk locks no file that is open for reading only, as NFS.
TEST(CheckAndRepair, SeeASessionOnNfsThatIsInUse) {
  SeededRandom random;
  SimulatedMachine machine(random);
  FakeClock clock;
  const auto session = Session::create(
      openSimulatedFolder(machine),
      {.imageName = "image", .uploadUuid = "", .baseSize = kTableSpan, .maxImageSize = kTableSpan},
      clock);
  EXPECT_EQ(checkSession(*openSimulatedFolder(machine)).stateName(), "in-use");
}

/// Whatever is repaired, a kill or a power cut at any moment of it leaves the same content.
TEST(CheckAndRepair, AtEveryMomentLeavesWhatWasThere) {
  SeededRandom random;
  std::uint64_t crashes = 0;
  for (int i = 0; i < 300 / kShare && !testing::Test::HasFailure(); ++i) {
    DamagedSession session(random);
    // A `live` is never older than the running kernel: what damages it does not crash in between.
    if (!random.oneIn(3)) {
      session.damage(random.oneIn(4) ? "data" : "meta");
    }
    SimulatedMachine& machine = session.machine();
    const bool closed = machine.disk.find("live") == 0;
    for (const char* name : {"meta", "data"}) {
      machine.disk.inode(machine.disk.find(name))->sync();
    }
    const SimulatedDisk start = machine.disk;
    session.repair();
    const auto repaired = session.open();
    const std::uint64_t most = 60;
    for (std::uint64_t n = 1; n < most && repaired; ++n) {
      machine.disk = start;
      machine.stopAfter = machine.changes + n;
      try {
        session.repair();
      } catch (const std::exception&) {
      }
      const bool ended = !machine.stopped();
      machine.stopAfter = std::numeric_limits<std::uint64_t>::max();
      machine.disk.killProcess();
      if (ended) {
        break;
      }
      // After a power cut a session that was open is what its last checkpoint left.
      if (closed && random.oneIn(2)) {
        machine.disk.powerCut(random);
      }
      ++crashes;
      session.repair();
      EXPECT_TRUE(session.open() == repaired)
          << i << ", cut short after " << n << ": " << session.refusal();
    }
  }
  std::cout << crashes << " crashes" << std::endl;
  EXPECT_GT(crashes, 500U / kShare);
}

}  // namespace
}  // namespace netcow::test
