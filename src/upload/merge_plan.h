// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "session/origin.h"
#include "upload/http_answer.h"
#include "upload/upload_schedule.h"

// What to ask next until the merge is done or refused: the rules alone, without a server.
//
//   asking ----- 2xx -----> watching -- "Done", or a server that never tells --> merged
//     ^  \------ 409 and its kin, a second 404 ------> refused    \- "Failed" -> failed
//     |   \-- 404 once; 5xx and lost answers again and again --\  ^
//     \------------- anything else ------------------- checking --/ "Merging" or "Done"
//
// A merge is never asked twice blindly: before it is asked again the status call tells whether
// the first request had arrived after all. That call also makes the reference server load a
// session it forgot when it was restarted, which is why one 404 is forgiven. The reference server
// claims "Copying" for ever, so only a server that was heard to say something else is waited for.
namespace netcow {

/// Not thread-safe; `clock` must outlive it.
class MergePlan {
 public:
  /// `earlier`: what the last run left behind; none, asked or failed.
  MergePlan(MergeState earlier, const UploadRules& rules, const Clock& clock);

  enum class Step { askMerge, askStatus, end };
  /// What to do, not before time(). Does not change until an answer is handed in.
  [[nodiscard]] Step step() const;
  [[nodiscard]] Clock::Time time() const { return time_; }

  void mergeAnswered(const HttpAnswer& answer);
  void statusAnswered(const HttpAnswer& answer);

  /// asked until the server took or refused it, then accepted or failed.
  [[nodiscard]] MergeState state() const { return state_; }
  /// At the end: why it failed, for people; empty if it did not.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  enum class Phase { asking, checking, watching, ended };

  void accept();
  void end(MergeState state, const std::string& problem);
  void check(const HttpAnswer& statusAnswer);
  void watch(const HttpAnswer& statusAnswer);
  void keepWatching();

  const UploadRules rules_;
  const Clock& clock_;
  Phase phase_;
  Clock::Time time_;
  MergeState state_ = MergeState::asked;
  std::uint32_t failures_ = 0;  // of merge calls, in a row
  std::uint32_t looks_ = 0;     // status calls while watching
  std::uint32_t silences_ = 0;  // of these, the last ones that told nothing of the merge
  bool wasUnknown_ = false;     // a 404 was forgiven
  bool tellsTruth_ = false;     // the server was heard to say "Merging"
  std::string problem_;
};

}  // namespace netcow
