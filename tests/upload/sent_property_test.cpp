// SPDX-License-Identifier: Apache-2.0
// Whatever is written, answered, killed, cut off, or done by others meanwhile: what the server
// merges in the end is the image, though what it has or the base has is not sent.
#include <gtest/gtest.h>

#include <exception>
#include <iostream>

#include "support/seeded_cases.h"
#include "upload/upload_rig.h"

namespace netcow {
namespace {

using test::SeededCases;
using test::SeededRandom;
using test::UploadRig;

std::string runCase(UploadRig& rig, SeededRandom& random) {
  const std::uint64_t steps = random.between(5, 80);
  for (std::uint64_t i = 0; i < steps; ++i) {
    rig.step();
  }
  return rig.finish();
}

TEST(SentProperty, WhatTheServerMergesIsTheImage) {
  SeededCases cases;
  const int count = test::longRun() ? 100'000 : 2000;
  std::uint64_t sent = 0;
  std::uint64_t unchanged = 0;
  std::uint64_t unchangedAfterReopening = 0;
  std::uint64_t leftOut = 0;
  std::uint64_t notNeeded = 0;
  for (int i = 0; i < count; ++i) {
    cases.run([&](SeededRandom& random) {
      UploadRig rig(random);
      std::string wrong = runCase(rig, random);
      sent += rig.sent;
      unchanged += rig.unchanged;
      unchangedAfterReopening += rig.unchangedAfterReopening;
      leftOut += rig.leftOut;
      notNeeded += rig.notNeeded;
      return wrong;
    });
  }
  std::cout << count << " cases: " << sent << " clusters sent, " << unchanged
            << " not sent because the server has them (" << unchangedAfterReopening
            << " just after opening), " << notNeeded << " because the base has them; " << leftOut
            << " blocks left out" << std::endl;
  if (!cases.isReplay()) {
    EXPECT_GT(unchanged, 0U);
    EXPECT_GT(unchangedAfterReopening, 0U);
    EXPECT_GT(leftOut, 0U);
    EXPECT_GT(notNeeded, 0U);
  }
}

/// The test can fail: each of these breaks one thing that the argument in sent_clusters.h rests on.
struct Breakage {
  const char* name;
  void (*apply)(UploadRig& rig);
};
constexpr Breakage kBreakages[] = {
    {"WithoutSyncOfMeta",
     [](UploadRig& rig) {
       rig.machine.ignores = [](const std::string& call, const std::string& file) {
         return call == "sync" && file.starts_with("meta");
       };
     }},
    {"LostAnswersForgotten",
     [](UploadRig& rig) {
       rig.places = 3;
       rig.forgetsLostAnswers = true;
     }},
    {"DirtyCalledClean", [](UploadRig& rig) { rig.otherProgramsLie = true; }},
    {"ServerForgets", [](UploadRig& rig) { rig.serverForgets = true; }}};

class SentCanary : public testing::TestWithParam<Breakage> {};

TEST_P(SentCanary, IsNoticed) {
  const SeededRandom seed;
  std::string wrong;
  int cases = 0;
  for (; cases < 20'000 && wrong.empty(); ++cases) {
    SeededRandom random = seed.ofCase(static_cast<std::uint64_t>(cases));
    UploadRig rig(random);
    GetParam().apply(rig);
    try {
      wrong = runCase(rig, random);
    } catch (const std::exception&) {
      // Broken so much that the session refuses itself: that is no merit of this test.
    }
  }
  EXPECT_NE(wrong, "");
  std::cout << "case " << cases << ": " << wrong << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Broken, SentCanary, testing::ValuesIn(kBreakages),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace netcow
