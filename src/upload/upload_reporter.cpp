// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_reporter.h"

#include <unistd.h>

#include <utility>
#include <vector>

namespace netcow {
namespace {

constexpr std::chrono::seconds kReportInterval{5};
constexpr std::chrono::milliseconds kUpdateInterval{250};
/// The progress file is written as often as `netcow status --watch` looks.
constexpr std::chrono::seconds kProgressFileInterval{1};

}  // namespace

UploadReporter::UploadReporter(const Session& session, bool statusFile, StatusSink sink,
                               const Clock& clock)
    : session_(session),
      sink_(std::move(sink)),
      clock_(clock),
      progressFile_(StatusFile::progress(session.directory())),
      lastReport_(clock.now()),
      nextReport_(clock.now()),
      nextUpdate_(clock.now()),
      nextProgressFile_(clock.now()),
      meter_(0, clock.now()) {
  if (statusFile) {
    statusFile_ = StatusFile::status(session.directory());
  }
  current_.uuid = session.uploadUuid();
  current_.process = ::getpid();
}

void UploadReporter::noteError(const std::string& problem) {
  const MutexLock lock(mutex_);
  current_.lastError = problem;
  current_.lastErrorTime = clock_.unixSeconds();
}

void UploadReporter::report(const UploadProgress& progress) {
  const UploadStatus status = count(progress);
  publish(status, statusText(status), /*durable=*/false);
}

void UploadReporter::reportEnd(const UploadProgress& progress) {
  std::vector<ClusterUploads> clusters;
  session_.forEachCluster([&](const ClusterInfo& info) {
    if (info.uploads > 0) {
      clusters.push_back({info.cluster, info.uploads});
    }
  });
  const UploadStatus status = count(progress);
  publish(status, statusText(status) + blockStatsText(std::move(clusters)), /*durable=*/true);
}

void UploadReporter::update(const UploadProgress& progress) {
  UploadStatus status = current();
  estimate(progress, status);
  const auto now = clock_.now();
  if (now >= nextProgressFile_) {
    writeProgressFile(statusText(status));
    nextProgressFile_ = now + kProgressFileInterval;
  }
  const MutexLock lock(mutex_);
  current_ = std::move(status);
}

UploadStatus UploadReporter::current() const {
  const MutexLock lock(mutex_);
  return current_;
}

UploadStatus UploadReporter::count(const UploadProgress& progress) {
  UploadStatus status = current();
  if (progress.state == UploadStatus::State::done) {
    status.lastError.clear();  // what went wrong was made good
    status.lastErrorTime = 0;
  }
  const auto dirty = session_.dirtyCounts(progress.newestDue);
  status.uuid = session_.uploadUuid();
  status.inQueue = dirty.old + progress.checkedOut;
  status.modifiedClusters = dirty.fresh;
  // Counted one after the other while writers go on, so it may be off by a few, never below 0.
  const std::uint64_t notClean = status.inQueue + status.modifiedClusters;
  // With nothing to do there is nothing to count again: an idle mount costs nothing.
  const std::uint64_t before = std::exchange(lastNotClean_, notClean);
  const bool idle =
      notClean == 0 && before == 0 && progress.clustersUploaded == status.totalClustersUploaded;
  const std::uint64_t all = idle ? localClusters_ : session_.localClusterCount();
  localClusters_ = all;
  status.idleClusters = all > notClean ? all - notClean : 0;
  const auto pending = notClean == 0 ? Session::Pending{} : session_.pending();
  status.clustersFailed = pending.failed;
  bytesCounted_ = pending.bytes;
  bytesAcknowledged_ = progress.bytesUploaded;
  estimate(progress, status);
  const auto now = clock_.now();
  const std::chrono::duration<double> elapsed = now - std::exchange(lastReport_, now);
  const std::uint64_t sent = std::exchange(bytesSent_, 0);
  status.avgSpeedKb = 0;
  if (elapsed.count() > 0) {
    status.avgSpeedKb = static_cast<double>(sent) / 1000 / elapsed.count();
  }
  return status;
}

void UploadReporter::estimate(const UploadProgress& progress, UploadStatus& status) {
  const auto now = clock_.now();
  nextUpdate_ = now + kUpdateInterval;
  bytesSent_ += progress.bytesSent;
  status.state = progress.state;
  status.merge = progress.merge;
  status.totalClustersUploaded = progress.clustersUploaded;
  status.activeUploads = progress.inFlight;
  status.bytesUploaded = progress.bytesUploaded;
  status.mergedClusters = progress.mergedClusters;
  status.clustersToMerge = progress.clustersToMerge;
  const std::uint64_t sent = progress.bytesUploaded - bytesAcknowledged_ + progress.bytesInFlight;
  status.bytesPending = bytesCounted_ > sent ? bytesCounted_ - sent : 0;
  if (status.bytesPending == 0) {
    status.clustersFailed = 0;  // they were tried again since they were counted
  }
  const std::uint64_t useful = progress.bytesUploaded + progress.bytesInFlight;
  meter_.setTotal(useful + status.bytesPending);
  meter_.note(useful, now);
  status.eta = status.bytesPending == 0 ? std::chrono::seconds(0) : meter_.timeLeft();
}

void UploadReporter::publish(const UploadStatus& status, const std::string& text, bool durable) {
  // Before anybody is told: who then moves the clock on by the interval finds the next one due.
  nextReport_ = clock_.now() + kReportInterval;
  {
    const MutexLock lock(mutex_);
    current_ = status;
  }
  if (statusFile_) {
    statusFile_->write(text, durable);
  }
  if (status.state != UploadStatus::State::local) {
    writeProgressFile(text);
  }
  if (sink_) {
    sink_(text);
  }
}

void UploadReporter::writeProgressFile(const std::string& text) {
  // With `status` there, a second file would tell the same.
  if (!statusFile_ && text != progressText_) {
    progressFile_.write(text);
    progressText_ = text;
  }
}

}  // namespace netcow
