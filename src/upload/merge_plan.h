// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "session/origin.h"
#include "upload/http_answer.h"
#include "upload/jitter.h"
#include "upload/upload_schedule.h"

// What to ask next until the merge is done or refused: the rules alone, without a server.
//
//   phase     asks     an answer of                        leads to
//   asking    merge    2xx                                 watching
//                      5xx, none at all, the first 404     checking, after a while
//                      any other 3xx or 4xx                the end: refused
//   checking  status   "Merging" or "Done"                 watching
//                      5xx or none, if the merge's answer
//                      was lost                            checking, after a while
//                      anything else                       asking
//   watching  status   "Done", or no state one can trust   the end: merged
//                      "Failed"                            the end: refused
//                      "Merging"                           watching, after a while
//   recalling status   "Failed"                            asking
//                      "Merging"                           watching
//                      anything else, none at all          the end: merged
//
// A run begins with asking; with checking if an earlier one did not live to see the merge's answer;
// with recalling if an earlier one saw it taken, but perhaps not what came of it.
//
// A merge is never asked twice blindly: before it is asked again the status call tells whether
// the first request had arrived after all. That call also makes the reference server load a
// session it forgot when it was restarted, which is why one 404 is forgiven. The reference server
// claims "Copying" for ever, so only a server that was heard to say something else is waited for.
namespace netcow {

/// Not thread-safe; `clock` must outlive it.
class MergePlan {
 public:
  /// `earlier`: how far an earlier run came. Nothing is asked before `notBefore`.
  MergePlan(MergeState earlier, Clock::Time notBefore, const UploadRules& rules, const Clock& clock,
            Jitter jitter);

  enum class Step { askMerge, askStatus, end };
  /// What to do, not before time(). Does not change until an answer is handed in.
  [[nodiscard]] Step step() const;
  [[nodiscard]] Clock::Time time() const { return time_; }

  void mergeAnswered(const HttpAnswer& answer);
  void statusAnswered(const HttpAnswer& answer);

  /// asked until the server took it (done) or refused it; a merge that was taken and then failed
  /// on the server is refused in the end, or asked once more if an earlier run had it taken.
  [[nodiscard]] MergeState state() const { return state_; }
  /// Whether the server, as far as it was heard, is still merging.
  [[nodiscard]] bool isServerMerging() const { return phase_ == Phase::watching && tellsTruth_; }
  /// At the end: why it failed, for people; empty if it did not.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  enum class Phase { asking, checking, watching, recalling, ended };

  void accept();
  void end(MergeState state, const std::string& problem);
  void check(const HttpAnswer& statusAnswer);
  void watch(const HttpAnswer& statusAnswer);
  void recall(const HttpAnswer& statusAnswer);
  void keepWatching();
  void waitAsked(const HttpAnswer& answer);
  void backOff(std::uint32_t failures);

  const UploadRules rules_;
  const Clock& clock_;
  const Jitter jitter_;
  Phase phase_;
  Clock::Time time_;
  MergeState state_;
  std::uint32_t failures_ = 0;  // of calls before the merge was taken
  bool mayHaveArrived_;         // the answer to the last merge call was lost
  std::uint32_t looks_ = 0;     // status calls while watching
  std::uint32_t silences_ = 0;  // of these, the last ones that told nothing of the merge
  bool wasUnknown_ = false;     // a 404 was forgiven
  bool tellsTruth_ = false;     // the server was heard to say "Merging"
  std::string problem_;
};

}  // namespace netcow
