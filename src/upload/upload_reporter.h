// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "session/session.h"
#include "upload/status_file.h"

namespace netcow {

/// Gets the text of the status each time it is written, on the thread that uploads. Must not throw.
using StatusSink = std::function<void(const std::string& text)>;

/// What the uploader knows of its progress at one moment.
struct UploadProgress {
  UploadStatus::State state = UploadStatus::State::active;
  Clock::Time newestDue;               ///< what changed after it is too fresh to be queued
  std::uint64_t checkedOut = 0;        ///< clusters taken from the session: in flight or waiting
  std::uint64_t inFlight = 0;          ///< of these, uploads
  std::uint64_t clustersUploaded = 0;  ///< since this start
  std::uint64_t bytesSent = 0;         ///< since the last report
};

/// Tells the world every five seconds how uploads go on: in the session's status file, to a sink,
/// both or none. Not thread-safe; `session` and `clock` must outlive it.
class UploadReporter {
 public:
  UploadReporter(const Session& session, bool statusFile, StatusSink sink, const Clock& clock);

  /// Whether anybody wants to know.
  [[nodiscard]] bool wanted() const { return file_ || sink_; }
  /// When the next report is due.
  [[nodiscard]] Clock::Time nextTime() const { return nextTime_; }

  void report(const UploadProgress& progress);
  /// The last report: made durable, and with how often each cluster was uploaded.
  void reportEnd(const UploadProgress& progress);

 private:
  std::string makeText(const UploadProgress& progress);
  void publish(const std::string& text, bool durable);

  const Session& session_;
  const StatusSink sink_;
  const Clock& clock_;
  std::optional<StatusFile> file_;
  Clock::Time lastTime_;
  Clock::Time nextTime_;
};

}  // namespace netcow
