// SPDX-License-Identifier: Apache-2.0
// A new session in the place of one that holds nothing: cut short at any moment, the folder is
// never one that both -L and -c refuse.
#include <gtest/gtest.h>

#include <limits>

#include "base/errors.h"
#include "session/session.h"
#include "session/simulated_folder.h"
#include "support/fake_clock.h"

namespace netcow::test {
namespace {

NewSession settings() {
  NewSession settings;
  settings.imageName = "image";
  settings.baseSize = kTableSpan;
  settings.maxImageSize = kTableSpan;
  return settings;
}

class DiscardedSession : public testing::TestWithParam<bool> {
 protected:
  DiscardedSession() {
    auto session = Session::create(openSimulatedFolder(machine_), settings(), clock_);
    // Clusters with space and no blocks: `data` looks as if it held something.
    for (const std::uint64_t cluster : {0U, 1U, 2U}) {
      EXPECT_FALSE(session->replaceCluster(cluster, ClusterBits{}, {}));
    }
    EXPECT_FALSE(session->close());
    session.reset();
    machine_.disk.killProcess();
  }
  [[nodiscard]] bool exists(const char* name) const { return machine_.disk.find(name) != 0; }

  SeededRandom random_;
  SimulatedMachine machine_{random_};
  FakeClock clock_;
};

TEST_P(DiscardedSession, IsReplacedAlsoWhenThatWasCutShort) {
  const bool powerCut = GetParam();
  const SimulatedDisk start = machine_.disk;
  bool ended = false;
  std::uint64_t moments = 0;
  for (std::uint64_t n = 1; !ended && !HasFailure(); ++n) {
    for (int i = 0; i < (powerCut ? 20 : 1) && !HasFailure(); ++i) {
      machine_.disk = start;
      machine_.stopAfter = machine_.changes + n;
      try {
        Session::create(openSimulatedFolder(machine_), settings(), clock_);
      } catch (const std::exception&) {
      }
      ended = !machine_.stopped();
      machine_.stopAfter = std::numeric_limits<std::uint64_t>::max();
      machine_.disk.killProcess();
      if (powerCut) {
        machine_.disk.powerCut(random_);
      }
      if (exists("meta")) {
        const SimulatedDisk before = machine_.disk;
        EXPECT_NO_THROW(Session::open(openSimulatedFolder(machine_), clock_)) << "change " << n;
        machine_.disk = before;
      }
      EXPECT_NO_THROW({
        const auto session = Session::create(openSimulatedFolder(machine_), settings(), clock_);
        EXPECT_EQ(session->localClusterCount(), 0U);
      }) << "change "
         << n;
      EXPECT_FALSE(exists("meta.discarded"));
      ++moments;
    }
  }
  EXPECT_GT(moments, 12U);
}

INSTANTIATE_TEST_SUITE_P(After, DiscardedSession, testing::Bool(),
                         [](const auto& test) { return test.param ? "APowerCut" : "AKill"; });

TEST_P(DiscardedSession, IsNotTakenOverByTwoAtOnce) {
  const auto folder = openSimulatedFolder(machine_);
  ASSERT_FALSE(folder->rename("meta", "meta.discarded"));
  std::unique_ptr<File> other;
  ASSERT_FALSE(folder->open("meta.discarded", other));
  ASSERT_FALSE(other->lockExclusively());
  EXPECT_THROW(Session::create(openSimulatedFolder(machine_), settings(), clock_), UserError);
  EXPECT_TRUE(exists("data"));
}

}  // namespace
}  // namespace netcow::test
