// SPDX-License-Identifier: Apache-2.0
//
// The promise "a killed process loses no acknowledged write", tried with SIGKILL on the real
// program: a mount under every kind of load, a mount that just recovers what an earlier kill
// left, netcow upload, and the server meanwhile. After each kill everything acknowledged must be
// there, and every sector that was being written holds its old or its new content.
//
// The moment of a kill is an event, never a time: the n-th operation, or the n-th thing that
// happens to a file of the session. NETCOW_LONG=1 goes on for many hundred kills.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "system/kill_rig.h"

namespace netcow::test {
namespace {

class Kill : public testing::Test {
 protected:
  ~Kill() override { std::cout << "kills: " << counts_ << std::endl; }
  /// A long run shows that it goes on.
  void tell(int session) const {
    if (sessions() > 1) {
      std::cout << "session " << session << ": " << counts_ << std::endl;
    }
  }

  /// How often everything is repeated with a new session.
  [[nodiscard]] static int sessions() { return std::getenv("NETCOW_LONG") != nullptr ? 25 : 1; }
  [[nodiscard]] static bool failed() { return HasFailure(); }

  KillCounts counts_;
  SeededRandom random_;
};

TEST_F(Kill, OfAMountUnderLoadLosesNothingAcknowledged) {
  for (int session = 0; session < sessions() && !failed(); ++session) {
    KillRig rig(random_, KillRig::Uploads::none, counts_);
    for (int round = 0; round < 10 && !failed(); ++round) {
      SCOPED_TRACE("session " + std::to_string(session) + " round " + std::to_string(round));
      ASSERT_NO_FATAL_FAILURE(rig.mountAndCheck());
      rig.killUnderLoad();
    }
    ASSERT_NO_FATAL_FAILURE(rig.mountAndCheck());
    rig.unmount();
    rig.expectMergesOffline();
    tell(session);
  }
}

TEST_F(Kill, InTheMiddleOfUploadsLosesNothingAndMergesExactlyWhatWasWritten) {
  for (int session = 0; session < sessions() && !failed(); ++session) {
    KillRig rig(random_, KillRig::Uploads::whileMounted, counts_);
    for (int round = 0; round < 10 && !failed(); ++round) {
      SCOPED_TRACE("session " + std::to_string(session) + " round " + std::to_string(round));
      ASSERT_NO_FATAL_FAILURE(rig.mountAndCheck());
      rig.killUnderLoad(random_.oneIn(3));
    }
    ASSERT_NO_FATAL_FAILURE(rig.mountAndCheck({"-m"}));
    rig.unmount();
    rig.expectMerged();
    tell(session);
  }
}

TEST_F(Kill, InTheMiddleOfARecoveryIsOneMoreKill) {
  for (int session = 0; session < sessions() && !failed(); ++session) {
    KillRig rig(random_, KillRig::Uploads::none, counts_);
    for (int round = 0; round < 4 && !failed(); ++round) {
      SCOPED_TRACE("session " + std::to_string(session) + " round " + std::to_string(round));
      ASSERT_NO_FATAL_FAILURE(rig.mountAndCheck());
      rig.killUnderLoad();
      for (std::uint64_t kills = random_.between(1, 4); kills > 0; --kills) {
        rig.killInRecovery(random_.between(1, 25));
      }
    }
    ASSERT_NO_FATAL_FAILURE(rig.mountAndCheck());
    rig.unmount();
    rig.expectMergesOffline();
    tell(session);
  }
}

TEST_F(Kill, OfNetcowUploadLosesNothingAndMergesOnce) {
  for (int session = 0; session < 2 * sessions() && !failed(); ++session) {
    SCOPED_TRACE("session " + std::to_string(session));
    KillRig rig(random_, KillRig::Uploads::later, counts_);
    ASSERT_NO_FATAL_FAILURE(rig.mountAndCheck());
    rig.killUnderLoad();
    ASSERT_NO_FATAL_FAILURE(rig.mountAndCheck());
    rig.killUnderLoad();
    // What the oracle knows must not be guessed from the merged image.
    ASSERT_NO_FATAL_FAILURE(rig.mountAndCheck());
    rig.killIdle();
    bool done = false;
    for (int kills = 0; kills < 5 && !done; ++kills) {
      done = rig.killUpload(random_.between(1, 34));
    }
    rig.upload();
    rig.expectMerged();
    tell(session);
  }
}

}  // namespace
}  // namespace netcow::test
