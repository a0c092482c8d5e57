// SPDX-License-Identifier: Apache-2.0
// The last phase of an uploader: it asks for the merge as MergePlan says, and has each step
// remembered before the next.
#include "base/logging.h"
#include "upload/uploader.h"

namespace netcow {

void Uploader::beginMerge() {
  if (!options_.merge) {
    end(UploadStatus::State::done, ExitStatus::done, "all changes are uploaded");
    return;
  }
  phase_ = Phase::merging;
  if (const auto error = session_.checkpoint()) {
    endUnfinished(UploadStatus::State::failed, "cannot make the session " + session_.directory() +
                                                   " durable: " + error.message());
    return;
  }
  mergePlan_.emplace(options_.earlierMerge, schedule_.pausedUntil(), options_.rules, clock_,
                     options_.jitter);
  recordMerge(mergePlan_->state());
}

void Uploader::continueMerge() {
  if (client_.underWay() > 0 || clock_.now() < mergePlan_->time()) {
    return;
  }
  switch (mergePlan_->step()) {
    case MergePlan::Step::askMerge:
      client_.start(UploadClient::Purpose::merge,
                    requests_->makeMerge(session_.validRemoteSize(), session_.imageSize()));
      break;
    case MergePlan::Step::askStatus:
      client_.start(UploadClient::Purpose::status, requests_->makeStatus());
      break;
    case MergePlan::Step::end:
      if (mergePlan_->problem().empty()) {
        end(UploadStatus::State::done, ExitStatus::done, "all changes are uploaded and merged");
      } else {
        endUnfinished(UploadStatus::State::failed, mergePlan_->problem());
      }
      break;
  }
}

void Uploader::stopMerge(const std::string& why, UploadStatus::State state) {
  if (recordedMerge_ != MergeState::done) {
    endUnfinished(state, why);
  } else if (mergePlan_ && mergePlan_->isServerMerging()) {
    end(state, ExitStatus::notMerged,
        why + ": all changes are uploaded, but the server is still merging; `netcow upload -m " +
            session_.directory() + "` tells the outcome");
  } else {
    end(UploadStatus::State::done, ExitStatus::done,
        "all changes are uploaded, and the server took the merge");
  }
}

void Uploader::handleMerge(const UploadClient::Finished& finished) {
  if (finished.purpose == UploadClient::Purpose::merge) {
    mergePlan_->mergeAnswered(finished.answer);
  } else {
    mergePlan_->statusAnswered(finished.answer);
    serverProgress_ = parseServerProgress(finished.answer);
  }
  recordMerge(mergePlan_->state());
  const Verdict verdict = judge(finished.answer);
  if (verdict == Verdict::accepted) {
    outage_.succeeded(clustersLeft());
    return;
  }
  const std::string problem = "asking for the merge: " + describe(finished.answer);
  if (verdict == Verdict::again) {
    reporter_.noteError(problem);
    outage_.failed(problem, clustersLeft());
  } else {
    complain(problem);
  }
}

/// For people: what the server took counts as done only when it is.
UploadStatus::Merge Uploader::mergeStatus() const {
  using Merge = UploadStatus::Merge;
  const bool before = phase_ == Phase::mounted || phase_ == Phase::finalPass;
  if (recordedMerge_ == MergeState::done) {
    const bool unknown = phase_ == Phase::merging || outcome_.status == ExitStatus::notMerged;
    return unknown ? Merge::merging : Merge::done;
  }
  if (before && options_.merge) {
    return Merge::wanted;
  }
  if (recordedMerge_ == MergeState::asked) {
    return Merge::asked;
  }
  if (recordedMerge_ == MergeState::refused) {
    return Merge::refused;
  }
  return options_.merge ? Merge::wanted : Merge::none;
}

void Uploader::recordMerge(MergeState state) {
  if (state == recordedMerge_) {
    return;
  }
  recordedMerge_ = state;
  if (state == MergeState::done) {
    spdlog::info("the server took the merge");
  }
  try {
    if (options_.onMergeState) {
      options_.onMergeState(state);
    }
  } catch (const std::exception& error) {
    spdlog::error("cannot remember how far the merge came: {}", error.what());
  }
}

}  // namespace netcow
