// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/seeded_random.h"

namespace netcow::test {

/// Whether the long form of a test was asked for, by NETCOW_LONG=1.
inline bool longRun() {
  return std::getenv("NETCOW_LONG") != nullptr;
}

/// Many cases of one test, each with random numbers of its own. One that fails prints the command
/// that runs it alone (NETCOW_CASE=N).
class SeededCases {
 public:
  /// check(SeededRandom&) returns what is wrong, or an empty text.
  template <class Check>
  void run(Check check) {
    const std::uint64_t number = ++count_;
    if ((only_ != 0 && only_ != number) || failures_ >= kMostFailures) {
      return;
    }
    SeededRandom random = random_.ofCase(number);
    const std::string wrong = check(random);
    if (!wrong.empty()) {
      ++failures_;
      ADD_FAILURE() << wrong << "\nreplay: " << command(number);
    }
  }
  /// Whether only one case was asked for.
  [[nodiscard]] bool isReplay() const { return only_ != 0; }

 private:
  [[nodiscard]] std::string command(std::uint64_t number) const {
    const auto* const test = testing::UnitTest::GetInstance()->current_test_info();
    return std::string(longRun() ? "NETCOW_LONG=1 " : "") +
           "NETCOW_SEED=" + std::to_string(random_.seed()) +
           " NETCOW_CASE=" + std::to_string(number) + " " +
           std::filesystem::read_symlink("/proc/self/exe").string() +
           " --gtest_filter=" + test->test_suite_name() + "." + test->name();
  }

  static constexpr int kMostFailures = 3;
  static std::uint64_t onlyCase() {
    const char* const given = std::getenv("NETCOW_CASE");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : 0;
  }
  const SeededRandom random_;
  const std::uint64_t only_ = onlyCase();
  std::uint64_t count_ = 0;
  int failures_ = 0;
};

}  // namespace netcow::test
