// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "base/mutex.h"
#include "base/terminal_line.h"
#include "upload/upload_status.h"

namespace netcow {

/// Tells how the end of a session goes for as long as it exists: a line that changes on a terminal,
/// else a line in the log now and then; and systemd, which also gets to know that the end takes
/// longer while it gets somewhere. Has a thread of its own, so that no terminal holds up uploads.
class UploadDisplay {
 public:
  /// `status` is called on the thread.
  UploadDisplay(std::function<UploadStatus()> status, std::shared_ptr<TerminalLine> line);
  /// Takes the line away.
  ~UploadDisplay();
  UploadDisplay(const UploadDisplay&) = delete;
  UploadDisplay& operator=(const UploadDisplay&) = delete;

 private:
  void run();
  bool waitFor(std::chrono::milliseconds time);

  const std::function<UploadStatus()> status_;
  const std::shared_ptr<TerminalLine> line_;
  Mutex mutex_;
  ConditionVariable ended_;
  bool end_ NETCOW_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace netcow
