// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "session/session_oracle.h"
#include "session/simulated_folder.h"
#include "support/fake_clock.h"

namespace netcow::test {

/// A session on a simulated machine that is driven by a script of one letter a step, and an
/// oracle that is told of each:
///   w whole blocks   p a part of a local block   s whole blocks across a border   z zero
///   c checkpoint   d shrink   g grow   u upload acknowledged
///   r close and open   k kill and open   x power cut and open
/// Where a step acts depends on `place`, which a script counts up; few places, so that steps meet.
class ScriptedSession {
 public:
  /// Creates the session while nothing goes wrong.
  explicit ScriptedSession(SeededRandom& random);

  static constexpr std::string_view kSteps = "wpszcdgurkx";

  /// Does one step. Once the machine has stopped, steps have no effect. Ends with `wrong` set if
  /// the session broke a promise that shows at once.
  void run(char step, std::uint64_t place);
  void runAll(std::string_view script);

  /// Ends the session as a kill would, and maybe takes the machine down; the machine works again.
  void crash(SessionOracle::Rule rule);
  /// Opens the session after a crash, compares, and goes on from what is there. False if opening
  /// failed because the machine stopped or a call failed: crash() again, then try again.
  bool reopen();

  SimulatedMachine machine;
  SessionOracle oracle;
  FakeClock clock;
  std::unique_ptr<Session> session;
  std::string wrong;  ///< the first broken promise
  /// What the session is to be held to when it is opened next.
  SessionOracle::Rule rule = SessionOracle::Rule::killed;

 private:
  void step(char step, std::uint64_t place);
  void complain(const std::string& what);
  /// Notes how a call ended; false if it failed.
  bool succeeded(const std::error_code& error);
  void write(std::uint64_t firstSector, std::uint64_t sectors);
  void zero(std::uint64_t begin, std::uint64_t end);
  void setSizes(std::uint64_t imageSize, std::uint64_t validRemoteSize);
  void growTo(std::uint64_t end);
  void upload();
  void close();

  Tag nextTag_ = 1;
  bool reported_ = false;  ///< the step at hand told of an error
  /// Opened again after a failed sync: what the cache shows and what the disk holds may differ for
  /// good, so nothing is done any more but to look.
  bool diskFailed_ = false;
};

}  // namespace netcow::test
