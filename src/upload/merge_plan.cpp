// SPDX-License-Identifier: Apache-2.0
#include "upload/merge_plan.h"

#include <utility>

namespace netcow {
namespace {

/// How often in a row a server that took the merge may fail to tell of it before it is left alone:
/// one that told of it before, and any other.
constexpr std::uint32_t kSilencesForgiven = 10;
constexpr std::uint32_t kFirstSilencesForgiven = 3;

/// Whether the server may have taken the request all the same; a gateway's word is not its own.
bool isLost(const HttpAnswer& answer) {
  return answer.status == 0 || answer.status == 502 || answer.status == 504;
}

}  // namespace

MergePlan::MergePlan(MergeState earlier, Clock::Time notBefore, const UploadRules& rules,
                     const Clock& clock, Jitter jitter)
    : rules_(rules),
      clock_(clock),
      jitter_(std::move(jitter)),
      phase_(earlier == MergeState::done    ? Phase::recalling
             : earlier == MergeState::asked ? Phase::checking
                                            : Phase::asking),
      time_(notBefore),
      state_(earlier == MergeState::done ? MergeState::done : MergeState::asked),
      mayHaveArrived_(earlier == MergeState::asked) {}

MergePlan::Step MergePlan::step() const {
  switch (phase_) {
    case Phase::asking:
      return Step::askMerge;
    case Phase::checking:
    case Phase::watching:
    case Phase::recalling:
      return Step::askStatus;
    case Phase::ended:
      break;
  }
  return Step::end;
}

void MergePlan::mergeAnswered(const HttpAnswer& answer) {
  waitAsked(answer);
  mayHaveArrived_ = isLost(answer);
  const Verdict verdict = judge(answer);
  switch (verdict) {
    case Verdict::accepted:
      accept();
      break;
    case Verdict::again:
      backOff(++failures_);
      phase_ = Phase::checking;
      break;
    case Verdict::pause:
      phase_ = Phase::checking;
      break;
    case Verdict::unknown:
    case Verdict::refused:
      if (verdict == Verdict::unknown && !std::exchange(wasUnknown_, true)) {
        phase_ = Phase::checking;
      } else {
        end(MergeState::refused,
            "the server refused the merge: " + describe(answer) + adviceFor(answer));
      }
      break;
  }
}

void MergePlan::statusAnswered(const HttpAnswer& answer) {
  waitAsked(answer);
  if (phase_ == Phase::watching) {
    watch(answer);
  } else if (phase_ == Phase::recalling) {
    recall(answer);
  } else {
    check(answer);
  }
}

void MergePlan::check(const HttpAnswer& statusAnswer) {
  const std::string serverState = parseServerState(statusAnswer);
  if (serverState == "Merging" || serverState == "Done") {
    accept();
    watch(statusAnswer);
    return;
  }
  const Verdict verdict = judge(statusAnswer);
  if (mayHaveArrived_ && (verdict == Verdict::again || verdict == Verdict::pause)) {
    backOff(++failures_);
  } else {
    phase_ = Phase::asking;
  }
}

void MergePlan::watch(const HttpAnswer& statusAnswer) {
  const std::string serverState = parseServerState(statusAnswer);
  if (serverState == "Done") {
    end(MergeState::done, {});
  } else if (serverState == "Failed") {
    end(MergeState::refused, "the server took the merge, but the merge failed there");
  } else if (serverState == "Merging") {
    tellsTruth_ = true;
    silences_ = 0;
    keepWatching();
  } else {
    // A lost answer or "Active" may be followed by the truth; anything else never is.
    const bool mayTell = tellsTruth_ || statusAnswer.status == 0 || serverState == "Active";
    const auto forgiven = tellsTruth_ ? kSilencesForgiven : kFirstSilencesForgiven;
    if (mayTell && ++silences_ <= forgiven) {
      keepWatching();
    } else {
      end(MergeState::done, {});
    }
  }
}

void MergePlan::recall(const HttpAnswer& statusAnswer) {
  const std::string serverState = parseServerState(statusAnswer);
  if (serverState == "Failed") {
    state_ = MergeState::asked;
    phase_ = Phase::asking;
  } else if (serverState == "Merging") {
    accept();
    watch(statusAnswer);
  } else {
    end(MergeState::done, {});
  }
}

void MergePlan::keepWatching() {
  backOff(++looks_);
}

void MergePlan::waitAsked(const HttpAnswer& answer) {
  time_ = clock_.now();
  if (answer.retryAfter) {
    time_ += jitter_.atLeast(*answer.retryAfter);
  }
}

void MergePlan::backOff(std::uint32_t failures) {
  time_ += jitter_.around(backoffAfter(failures, rules_));
}

void MergePlan::accept() {
  state_ = MergeState::done;
  phase_ = Phase::watching;
}

void MergePlan::end(MergeState state, const std::string& problem) {
  state_ = state;
  problem_ = problem;
  phase_ = Phase::ended;
}

}  // namespace netcow
