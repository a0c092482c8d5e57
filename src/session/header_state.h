// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <system_error>

#include "base/mutex.h"
#include "format/session_files.h"
#include "session/live_file.h"

namespace netcow {

/// The header of an open session: sizes, uuid, names. Every change is in `live` before it counts.
/// Thread-safe.
class HeaderState {
 public:
  HeaderState(const MetaHeader& header, LiveFile& live);

  [[nodiscard]] std::uint64_t imageSize() const { return imageSize_.load(); }
  [[nodiscard]] std::uint64_t validRemoteSize() const { return validRemoteSize_.load(); }
  [[nodiscard]] std::uint64_t maxImageSize() const { return maxImageSize_; }
  [[nodiscard]] std::string uploadUuid() const;
  [[nodiscard]] std::string imageName() const;
  [[nodiscard]] std::int64_t creationTime() const;

  std::error_code setSizes(std::uint64_t imageSize, std::uint64_t validRemoteSize);
  /// At most kUploadUuidLength bytes.
  std::error_code setUploadUuid(const std::string& uuid);

  /// The largest size that the image has, had since the last checkpoint, or may get back by a power
  /// cut. Nothing behind it can be seen again but as zeros.
  [[nodiscard]] std::uint64_t largestSize() const;

  /// The header as a checkpoint writes it, with counters that are kept elsewhere.
  MetaHeader encode(std::int32_t nextL2, std::int64_t nextClusterOffset);
  /// Whether it changed since the last takeChanged(), which is called before encode();
  /// markChanged() says that the encoded one did not reach the disk.
  [[nodiscard]] bool changed() const { return changed_.load(); }
  [[nodiscard]] bool takeChanged() { return changed_.exchange(false); }
  void markChanged() { changed_ = true; }
  /// What encode() gave last is on the disk.
  void confirmDurable();

 private:
  std::error_code store(const MetaHeader& changedHeader) NETCOW_REQUIRES(mutex_);

  LiveFile& live_;
  const std::uint64_t maxImageSize_;
  mutable Mutex mutex_;
  MetaHeader header_ NETCOW_GUARDED_BY(mutex_);
  std::uint64_t largestSize_ NETCOW_GUARDED_BY(mutex_);
  std::uint64_t largestSinceEncoded_ NETCOW_GUARDED_BY(mutex_);
  std::atomic<std::uint64_t> imageSize_;
  std::atomic<std::uint64_t> validRemoteSize_;
  std::atomic<bool> changed_ = false;
};

/// Copies text into a fixed field of the header, with zeros behind it.
template <std::size_t N>
void setText(char (&field)[N], const std::string& text) {
  for (std::size_t i = 0; i < N; ++i) {
    field[i] = i < text.size() && i + 1 < N ? text[i] : '\0';
  }
}

}  // namespace netcow
