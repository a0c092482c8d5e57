// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_reporter.h"

#include <utility>
#include <vector>

namespace netcow {
namespace {

constexpr std::chrono::seconds kInterval{5};

}  // namespace

UploadReporter::UploadReporter(const Session& session, bool statusFile, StatusSink sink,
                               const Clock& clock)
    : session_(session),
      sink_(std::move(sink)),
      clock_(clock),
      lastTime_(clock.now()),
      nextTime_(clock.now()) {
  if (statusFile) {
    file_.emplace(session.directory());
  }
}

void UploadReporter::report(const UploadProgress& progress) {
  if (wanted()) {
    publish(makeText(progress), /*durable=*/false);
  }
  nextTime_ = clock_.now() + kInterval;
}

void UploadReporter::reportEnd(const UploadProgress& progress) {
  if (!wanted()) {
    return;
  }
  std::vector<ClusterUploads> clusters;
  session_.forEachCluster([&](const ClusterInfo& info) {
    if (info.uploads > 0) {
      clusters.push_back({info.cluster, info.uploads});
    }
  });
  publish(makeText(progress) + blockStatsText(std::move(clusters)), /*durable=*/true);
}

std::string UploadReporter::makeText(const UploadProgress& progress) {
  const auto dirty = session_.dirtyCounts(progress.newestDue);
  UploadStatus status;
  status.uuid = session_.uploadUuid();
  status.state = progress.state;
  status.inQueue = dirty.old + progress.checkedOut;
  status.modifiedClusters = dirty.fresh;
  // Counted one after the other while writers go on, so it may be off by a few, never below 0.
  const std::uint64_t notClean = status.inQueue + status.modifiedClusters;
  const std::uint64_t all = session_.localClusterCount();
  status.idleClusters = all > notClean ? all - notClean : 0;
  status.totalClustersUploaded = progress.clustersUploaded;
  status.activeUploads = progress.inFlight;
  const auto now = clock_.now();
  const std::chrono::duration<double> elapsed = now - std::exchange(lastTime_, now);
  if (elapsed.count() > 0) {
    status.avgSpeedKb = static_cast<double>(progress.bytesSent) / 1000 / elapsed.count();
  }
  return statusText(status);
}

void UploadReporter::publish(const std::string& text, bool durable) {
  if (file_) {
    file_->write(text, durable);
  }
  if (sink_) {
    sink_(text);
  }
}

}  // namespace netcow
