// SPDX-License-Identifier: Apache-2.0
// A process that is killed while it opens a session, at every change it makes.
#include <gtest/gtest.h>

#include "session/session.h"
#include "session/simulated_folder.h"
#include "support/fake_clock.h"
#include "support/seeded_random.h"

namespace netcow::test {
namespace {

class KilledOpening : public testing::Test {
 protected:
  /// A session with two clusters that were uploaded and have not changed since.
  std::unique_ptr<Session> uploadedSession() {
    auto session = Session::create(openSimulatedFolder(machine_),
                                   {"image", "uuid", 4 * kClusterSize, 8 * kClusterSize}, clock_);
    const std::vector<std::byte> block(kBlockSize, std::byte{7});
    for (const std::uint64_t cluster : {0U, 2U}) {
      EXPECT_FALSE(session->write(block, cluster * kClusterSize));
    }
    while (const auto cluster = session->takeDirty(clock_.now())) {
      EXPECT_TRUE(session->acknowledgeUpload(*cluster, session->snapshot(*cluster).changes));
    }
    return session;
  }
  std::unique_ptr<Session> open() { return Session::open(openSimulatedFolder(machine_), clock_); }
  /// Opens and is killed at the n-th change; false if it was open before.
  bool killOpening(std::uint64_t change) {
    machine_.stopAfter = machine_.changes + change;
    bool opened = false;
    try {
      const auto session = open();
      opened = !machine_.stopped();
    } catch (const std::exception&) {
      EXPECT_TRUE(machine_.stopped()) << "nothing was wrong with the session";
    }
    machine_.stopAfter = std::numeric_limits<std::uint64_t>::max();
    machine_.disk.killProcess();
    return !opened;
  }
  void expectNothingToUpload(std::uint64_t change) {
    const auto session = open();
    EXPECT_EQ(session->localClusterCount(), 2U) << "killed at change " << change;
    EXPECT_FALSE(session->oldestDirty()) << "killed at change " << change;
  }

  SeededRandom random_;
  FakeClock clock_;
  SimulatedMachine machine_{random_};
};

TEST_F(KilledOpening, OfAClosedSessionForgetsNoUpload) {
  EXPECT_FALSE(uploadedSession()->close());
  std::uint64_t change = 1;
  while (killOpening(change)) {
    expectNothingToUpload(change);
    machine_.disk.killProcess();
    EXPECT_FALSE(open()->close());
    ++change;
  }
  EXPECT_GT(change, 5U);
}

TEST_F(KilledOpening, OfASessionThatIsRecoveredForgetsNoUpload) {
  uploadedSession().reset();  // killed
  machine_.disk.killProcess();
  std::uint64_t change = 1;
  while (killOpening(change)) {
    expectNothingToUpload(change);
    machine_.disk.killProcess();
    ++change;
  }
  EXPECT_GT(change, 10U);
}

}  // namespace
}  // namespace netcow::test
