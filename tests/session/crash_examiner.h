// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "session/scripted_session.h"

namespace netcow::test {

/// Looks at what a crash leaves at one moment of a run.
class CrashExaminer {
 public:
  CrashExaminer(SeededRandom& random, ScriptedSession& run) : random_(random), run_(run) {}

  /// A kill now, and so many power cuts now; what is wrong afterwards, or empty.
  std::string examineNow(std::uint64_t powerCuts);
  /// Power cuts now that single out each unsynced change.
  std::string examineEachChange();

  /// A crash now, the session repaired instead of opened, and a crash after each change or a failed
  /// call in that.
  std::string examineRepair();

  /// Sessions opened after a crash, by all examiners.
  static std::uint64_t states() { return states_; }

 private:
  std::string examine(SimulatedDisk disk, SessionOracle::Rule rule, const std::string& how);
  std::string failInRepair(const SimulatedDisk& disk, SessionOracle::Rule rule);
  std::string crashInRecovery(const SimulatedDisk& disk, SessionOracle::Rule rule);
  std::string open(SimulatedMachine& machine, SessionOracle::Rule rule, SessionContent& content);

  SeededRandom& random_;
  ScriptedSession& run_;
  static inline std::uint64_t states_ = 0;
};

/// How closely crashEverywhere() looks.
struct CrashDepth {
  std::uint64_t powerCuts = 2;   ///< at each moment
  bool eachChange = false;       ///< see CrashExaminer::examineEachChange()
  std::uint64_t lookAtEach = 1;  ///< one moment in so many
};
/// Runs `prefix`, then `script` with a crash after each change of a file. What is wrong, or empty.
std::string crashEverywhere(SeededRandom& random, const std::string& prefix,
                            const std::string& script, const CrashDepth& depth);

/// Calls visit(script) for all scripts of one to `length` steps.
void forEachScript(std::size_t length, const std::function<void(const std::string&)>& visit,
                   const std::string& begin = {});

}  // namespace netcow::test
