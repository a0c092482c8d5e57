// SPDX-License-Identifier: Apache-2.0
// How an uploader comes to its end: what people wish, what time is left, and what it says at last.
#include <fmt/format.h>

#include "base/logging.h"
#include "upload/uploader.h"

namespace netcow {

void Uploader::obeyWishes() {
  if (cancelled_ || (noNewUploads_ && phase_ == Phase::merging)) {
    stopNow("cancelled", UploadStatus::State::cancelled);
    return;
  }
  if (deadline_ && clock_.now() >= *deadline_) {
    const auto limit =
        std::chrono::duration_cast<std::chrono::duration<double>>(*options_.rules.finalTimeout);
    stopNow(fmt::format("the {:g} seconds of --upload-timeout are over", limit.count()),
            UploadStatus::State::failed);
    return;
  }
  if (finishWanted_ && phase_ == Phase::mounted) {
    phase_ = Phase::finalPass;
    if (requests_) {
      state_ = UploadStatus::State::uploading;
      spdlog::info("uploading the rest to {}", requests_->prefix().shown());
    }
    // A server that refused the session while it was mounted gets this one more chance.
    refusal_.clear();
    schedule_.beginFinalPass();
    if (requests_ && options_.rules.finalTimeout) {
      deadline_ = clock_.now() + *options_.rules.finalTimeout;
    }
    reporter_.report(progress());
  }
  if (noNewUploads_) {
    schedule_.stop();
  }
}

void Uploader::stopNow(const std::string& why, UploadStatus::State state) {
  if (phase_ == Phase::merging) {
    stopMerge(why, state);
  } else {
    endUnfinished(state, why);
  }
}

void Uploader::endFinalPass() {
  if (schedule_.inFlight() > 0) {
    return;
  }
  if (!requests_) {
    end(UploadStatus::State::local, ExitStatus::done, "all changes are in " + session_.directory());
  } else if (noNewUploads_) {
    endUnfinished(UploadStatus::State::cancelled, "uploads were stopped");
  } else if (!refusal_.empty()) {
    endUnfinished(UploadStatus::State::failed, refusal_);
  } else if (schedule_.waiting() == 0 && !session_.oldestDirty()) {
    beginMerge();
  }
}

void Uploader::end(UploadStatus::State state, ExitStatus status, const std::string& message) {
  for (const std::uint64_t cluster : client_.abandonAll()) {
    schedule_.sentBack();
    session_.returnDirty(cluster);
  }
  giveBack(/*everything=*/true);
  phase_ = Phase::ended;
  state_ = state;
  outcome_ = {status, message};
}

void Uploader::endUnfinished(UploadStatus::State state, const std::string& why) {
  if (state == UploadStatus::State::failed) {
    reporter_.noteError(why);
  }
  if (phase_ == Phase::merging) {
    end(state, ExitStatus::notMerged, "all changes are uploaded, but not merged: " + why);
    return;
  }
  end(state, ExitStatus::notUploaded, {});
  const std::uint64_t left = session_.dirtyCounts(Clock::Time::max()).old;
  outcome_.message = why + ": " + std::to_string(left) +
                     (left == 1 ? " cluster is" : " clusters are") + " not uploaded" +
                     (options_.merge ? " and nothing is merged" : "") + "; the changes stay in " +
                     session_.directory() + ", mount it again with -L to go on";
}

}  // namespace netcow
