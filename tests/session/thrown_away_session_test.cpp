// SPDX-License-Identifier: Apache-2.0
// Throwing a session away: cut short at any moment, it is whole, or another try ends it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

#include "base/errors.h"
#include "session/discard.h"
#include "session/session.h"
#include "session/simulated_folder.h"
#include "support/fake_clock.h"
#include "support/temporary_directory.h"

namespace netcow::test {
namespace {

NewSession settings() {
  NewSession settings;
  settings.imageName = "image";
  settings.uploadUuid = "0b2c9c8a-62d5-4c5e-9d2b-7f3f0a1e4d21";
  settings.baseSize = kTableSpan;
  settings.maxImageSize = kTableSpan;
  return settings;
}

void writeBlock(Session& session) {
  const std::vector<std::byte> content(kBlockSize, std::byte{'x'});
  EXPECT_FALSE(session.write(content, 0));
}

class CutShort : public testing::TestWithParam<bool> {};

TEST_P(CutShort, ItIsWholeOrTheNextTryEndsIt) {
  const bool powerCut = GetParam();
  SeededRandom random;
  SimulatedMachine machine(random);
  const FakeClock clock;
  {
    auto session = Session::create(openSimulatedFolder(machine), settings(), clock);
    writeBlock(*session);
    EXPECT_FALSE(session->close());
  }
  machine.disk.killProcess();
  const SimulatedDisk start = machine.disk;
  bool ended = false;
  std::uint64_t whole = 0;
  std::uint64_t half = 0;
  for (std::uint64_t n = 0; !ended; ++n) {
    for (int i = 0; i < (powerCut ? 20 : 1); ++i) {
      machine.disk = start;
      machine.stopAfter = machine.changes + n;
      try {
        SessionDiscard discard(openSimulatedFolder(machine));
        discard.commit();
        discard.removeFiles();
      } catch (const std::exception&) {
      }
      ended = !machine.stopped();
      machine.stopAfter = std::numeric_limits<std::uint64_t>::max();
      machine.disk.killProcess();
      if (powerCut) {
        machine.disk.powerCut(random);
      }
      if (machine.disk.find("meta") != 0) {
        ++whole;
        auto session = Session::open(openSimulatedFolder(machine), clock);
        ASSERT_TRUE(session->isLocal(0));
        ASSERT_FALSE(session->close());
      } else if (machine.disk.find("data") != 0 || machine.disk.find(kDiscardedMeta) != 0) {
        ++half;
        SessionDiscard again(openSimulatedFolder(machine));
        ASSERT_TRUE(again.committed());
        ASSERT_EQ(again.uploadUuid(), settings().uploadUuid);
        again.removeFiles();
        ASSERT_EQ(machine.disk.find("data"), 0U);
        ASSERT_EQ(machine.disk.find(kDiscardedMeta), 0U);
      }
    }
  }
  EXPECT_GT(whole, 0U);
  EXPECT_GT(half, 0U);
}

INSTANTIATE_TEST_SUITE_P(ByAKillAndAPowerCut, CutShort, testing::Bool());

class ThrownAway : public testing::Test {
 protected:
  std::unique_ptr<Session> create() { return Session::create(path_, settings(), clock_); }
  void put(const std::string& name) const { std::ofstream(path_ + "/" + name) << "x"; }
  [[nodiscard]] std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      names.insert(entry.path().filename());
    }
    return names;
  }

  TemporaryDirectory temporary_;
  const FakeClock clock_;
  const std::string path_ = temporary_ / "session";
};

TEST_F(ThrownAway, LeavesNothing) {
  auto session = create();
  writeBlock(*session);
  session.reset();  // as a killed process leaves it, `live` and all
  for (const char* name : {"origin.json", "status", "meta.before-repair", "meta.before-repair.1",
                           "meta.before-repair.2", "live.before-repair"}) {
    put(name);
  }
  std::filesystem::create_symlink("status", path_ + "/status.txt");
  EXPECT_TRUE(discardSession(path_));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ThrownAway, LeavesWhatIsNotItsOwn) {
  EXPECT_FALSE(create()->close());
  put("notes.txt");
  EXPECT_FALSE(discardSession(path_));
  EXPECT_EQ(files(), std::set<std::string>{"notes.txt"});
}

TEST_F(ThrownAway, RefusesASessionInUse) {
  const auto session = create();
  EXPECT_THROW(discardSession(path_), UserError);
  EXPECT_EQ(files(), (std::set<std::string>{"data", "live", "meta"}));
}

TEST_F(ThrownAway, RefusesWhatIsNoSession) {
  std::filesystem::create_directory(path_);
  put("data");
  put("status");
  EXPECT_THROW(discardSession(path_), UserError);
  put("meta");
  EXPECT_THROW(discardSession(path_), UserError);
  EXPECT_EQ(files(), (std::set<std::string>{"data", "meta", "status"}));
}

}  // namespace
}  // namespace netcow::test
