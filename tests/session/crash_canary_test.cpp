// SPDX-License-Identifier: Apache-2.0
// The crash tests can fail: a session that skips any one of the steps that keep its promises is
// found out.
#include <gtest/gtest.h>

#include <iostream>

#include "session/crash_examiner.h"

namespace netcow::test {
namespace {

struct Omission {
  const char* name;
  const char* call;
  const char* file;  ///< empty: the folder
};
constexpr Omission kOmissions[] = {
    {"SyncOfData", "sync", "data"},   {"SyncOfMeta", "sync", "meta"},
    {"SyncOfTheFolder", "sync", ""},  {"WriteToLive", "write", "live"},
    {"WriteToData", "write", "data"}, {"WriteToMeta", "write", "meta"}};

class CrashCanary : public testing::TestWithParam<Omission> {};

TEST_P(CrashCanary, IsNoticed) {
  SeededRandom random;
  std::string wrong;
  const auto examine = [&](const std::string& script) {
    if (!wrong.empty()) {
      return;
    }
    ScriptedSession run(random);
    run.runAll("wsuuc");
    run.machine.ignores = [](const std::string& call, const std::string& openedAs) {
      // `live` is opened under the name live.new, the folder under none.
      const std::string name = openedAs.substr(0, openedAs.find('.'));
      return call == GetParam().call && name == GetParam().file;
    };
    run.runAll(script);
    wrong = run.wrong;
    if (wrong.empty()) {
      run.machine.ignores = nullptr;
      wrong = CrashExaminer(random, run).examineNow(20);
    }
  };
  forEachScript(2, examine);
  EXPECT_NE(wrong, "");
  std::cout << wrong << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Without, CrashCanary, testing::ValuesIn(kOmissions),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace netcow::test
