// SPDX-License-Identifier: Apache-2.0
#include "cli/upload_progress.h"

#include <fmt/format.h>

#include <utility>

#include "cli/output.h"

namespace netcow {

void UploadProgressText::note(const UploadStatus& status, Clock::Time now) {
  const Phase before = phase_;
  const bool merges =
      status.merge == UploadStatus::Merge::asked || status.merge == UploadStatus::Merge::merging;
  phase_ = status.state != UploadStatus::State::uploading ? Phase::none
           : merges                                       ? Phase::merging
                                                          : Phase::uploading;
  if (phase_ == Phase::uploading) {
    if (!meter_) {
      total_ = status.bytesPending;
      meter_.emplace(total_, now);
    }
    meter_->note(total_ > status.bytesPending ? total_ - status.bytesPending : 0, now);
  }
  advanced_ = advanced_ || phase_ != before || status.bytesPending < status_.bytesPending ||
              status.totalClustersUploaded != status_.totalClustersUploaded ||
              status.merge != status_.merge || status.mergedClusters != status_.mergedClusters;
  status_ = status;
}

bool UploadProgressText::takeAdvance() {
  return std::exchange(advanced_, false);
}

std::string UploadProgressText::failures() const {
  return status_.clustersFailed == 0
             ? ""
             : ", " + counted(status_.clustersFailed, "cluster") + " failed";
}

std::string UploadProgressText::mergeText() const {
  if (status_.merge == UploadStatus::Merge::asked) {
    return "uploaded: asking the server for the merge";
  }
  if (status_.clustersToMerge == 0) {
    return "the server is merging";
  }
  return fmt::format("the server is merging: {} %, {} of {}",
                     100 * status_.mergedClusters / status_.clustersToMerge, status_.mergedClusters,
                     counted(status_.clustersToMerge, "cluster"));
}

std::string UploadProgressText::text() const {
  switch (phase_) {
    case Phase::uploading:
      return "uploading: " + meter_->text() + failures();
    case Phase::merging:
      return mergeText();
    case Phase::none:
      break;
  }
  return {};
}

std::string UploadProgressText::bar(std::size_t width) const {
  if (phase_ != Phase::uploading) {
    return text().substr(0, width);
  }
  // What failed is told also where there is no room for the rest.
  const std::string tail = failures();
  const std::string bar = meter_->bar(width > tail.size() ? width - tail.size() : 0);
  return (bar + tail).substr(0, width);
}

}  // namespace netcow
