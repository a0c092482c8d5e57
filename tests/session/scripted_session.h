// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/image.h"
#include "session/session_oracle.h"
#include "session/simulated_folder.h"
#include "session/tagged_base.h"
#include "support/fake_clock.h"

namespace netcow::test {

/// An image over a session on a simulated machine, driven by a script of one letter a step, and an
/// oracle that is told of each:
///   w whole blocks   p a part of a block   s across a border   z discard
///   f fsync   c checkpoint, as the timer makes it   d shrink   g grow
///   u upload acknowledged   b upload begun, which the next u acknowledges
///   e space reserved
///   h a part of a block whose rest the base holds back   a the base answers
///   r close and open   k kill and open   x power cut and open
/// Where a step acts depends on `place`, which a script counts up; few places, so that steps meet.
class ScriptedSession {
 public:
  /// Creates the session while nothing goes wrong.
  explicit ScriptedSession(SeededRandom& random);
  ~ScriptedSession();

  /// What all short scripts are made of, and what only long ones are.
  static constexpr std::string_view kSteps = "wpszfcdgurkx";
  static constexpr std::string_view kAllSteps = "wpszfcdguhaberkx";

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
  TaggedBase base;
  std::unique_ptr<Session> session;
  std::unique_ptr<Image> image;
  std::string wrong;  ///< the first broken promise
  /// What the session is to be held to when it is opened next.
  SessionOracle::Rule rule = SessionOracle::Rule::killed;

 private:
  struct Write {
    std::uint64_t firstSector;
    std::uint64_t sectors;
    Tag tag;
    std::uint64_t sizeBefore;  ///< of the image
    std::vector<std::byte> bytes;
    bool ended = false;
    [[nodiscard]] std::uint64_t end() const { return (firstSector + sectors) * kSectorSize; }
    [[nodiscard]] bool grows() const { return end() > sizeBefore; }
  };

  void step(char step, std::uint64_t place);
  void complain(const std::string& what);
  /// Notes how a call ended; false if it failed.
  bool succeeded(const std::error_code& error);
  void write(std::uint64_t firstSector, std::uint64_t sectors, bool hold = false);
  void endWrite(Write& write, const std::error_code& error);
  void answerBase();
  void discard(std::uint64_t firstSector, std::uint64_t sectors);
  void resize(std::uint64_t size);
  void checkpoint(const std::error_code& result);
  void beginUpload();
  void endUpload();
  void close();
  void dropSession();
  void compareReads(const SessionContent& content);

  Tag nextTag_ = 1;
  std::vector<std::unique_ptr<Write>> writes_;
  struct Upload {
    std::uint64_t cluster;
    std::uint64_t changes;
  };
  std::optional<Upload> upload_;
  bool reported_ = false;  ///< the step at hand told of an error
  /// Opened again after a failed sync: what the cache shows and what the disk holds may differ for
  /// good, so nothing is done any more but to look.
  bool diskFailed_ = false;
};

}  // namespace netcow::test
