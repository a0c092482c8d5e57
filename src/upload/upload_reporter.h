// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/progress_meter.h"
#include "session/session.h"
#include "upload/status_file.h"
#include "upload/upload_status.h"

namespace netcow {

/// Gets the text of the status each time it is written, on the thread that uploads. Must not throw.
using StatusSink = std::function<void(const std::string& text)>;

/// What the uploader knows of its progress at one moment.
struct UploadProgress {
  UploadStatus::State state = UploadStatus::State::active;
  UploadStatus::Merge merge = UploadStatus::Merge::none;
  Clock::Time newestDue;               ///< what changed after it is too fresh to be queued
  std::uint64_t checkedOut = 0;        ///< clusters taken from the session: in flight or waiting
  std::uint64_t inFlight = 0;          ///< of these, uploads
  std::uint64_t clustersUploaded = 0;  ///< since this start
  std::uint64_t bytesUploaded = 0;     ///< acknowledged since this start
  std::uint64_t bytesInFlight = 0;     ///< sent of the uploads in flight
  std::uint64_t bytesSent = 0;         ///< since the last time this was asked, also in vain
  std::uint64_t mergedClusters = 0;    ///< as the server tells
  std::uint64_t clustersToMerge = 0;
};

/// Tells the world how uploads go on. Every five seconds it counts, and writes files of the session
/// and to a sink; in between, current() is kept up to date from what was counted last and what has
/// been sent since, because counting costs by the number of clusters.
///
/// current() may be called from any thread, the rest belongs to one. `session` and `clock` must
/// outlive it.
class UploadReporter {
 public:
  UploadReporter(const Session& session, bool statusFile, StatusSink sink, const Clock& clock);

  /// When the next report is due, and the next update.
  [[nodiscard]] Clock::Time nextReport() const { return nextReport_; }
  [[nodiscard]] Clock::Time nextUpdate() const { return nextUpdate_; }

  /// Something went wrong, in one line; the newest one is told.
  void noteError(const std::string& problem);

  void report(const UploadProgress& progress);
  void update(const UploadProgress& progress);
  /// The last report: made durable, and with how often each cluster was uploaded.
  void reportEnd(const UploadProgress& progress);

  [[nodiscard]] UploadStatus current() const;

 private:
  UploadStatus count(const UploadProgress& progress);
  void estimate(const UploadProgress& progress, UploadStatus& status);
  void publish(const UploadStatus& status, const std::string& text, bool durable);
  void writeProgressFile(const std::string& text);

  const Session& session_;
  const StatusSink sink_;
  const Clock& clock_;
  std::optional<StatusFile> statusFile_;
  StatusFile progressFile_;
  std::string progressText_;  ///< as it was last written: an idle mount writes nothing
  Clock::Time lastReport_;
  Clock::Time nextReport_;
  Clock::Time nextUpdate_;
  Clock::Time nextProgressFile_;
  std::uint64_t bytesSent_ = 0;      ///< since the last report
  std::uint64_t localClusters_ = 0;  ///< at the last report, and of these not clean
  std::uint64_t lastNotClean_ = 1;
  /// At the last report: bytes of dirty clusters, and what had been acknowledged before it.
  std::uint64_t bytesCounted_ = 0;
  std::uint64_t bytesAcknowledged_ = 0;
  ProgressMeter meter_;  ///< of what was sent and not in vain
  mutable Mutex mutex_;
  UploadStatus current_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow
