// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/progress_meter.h"
#include "upload/upload_status.h"

namespace netcow {

/// How the end of a session goes, in words: first what is uploaded, then the merge on the server.
/// Not thread-safe.
class UploadProgressText {
 public:
  /// To be told of the newest status again and again.
  void note(const UploadStatus& status, Clock::Time now);

  /// "uploading: 45 %, 1.2 MiB of 2.6 MiB, 1.0 MiB/s, 0:01 left, 2 clusters failed". Empty when
  /// there is nothing to tell: before the end has begun, and after it.
  [[nodiscard]] std::string text() const;
  /// The same with a bar, at most `width` columns.
  [[nodiscard]] std::string bar(std::size_t width) const;

  /// Whether anything got further since this was asked last.
  bool takeAdvance();

 private:
  enum class Phase { none, uploading, merging };
  [[nodiscard]] std::string mergeText() const;
  [[nodiscard]] std::string failures() const;

  UploadStatus status_;
  Phase phase_ = Phase::none;
  std::optional<ProgressMeter> meter_;  ///< of the uploads since the end began
  std::uint64_t total_ = 0;             ///< bytes that were pending then
  bool advanced_ = false;
};

}  // namespace netcow
