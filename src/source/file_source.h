// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>

#include "base/unique_fd.h"
#include "source/source.h"

namespace netcow {

/// A base that lies in a local file or block device.
///
/// size() is the exact size of the file, which need not be a multiple of 4096 (a dnbd3 server
/// would round it up). Reads end before read() returns. The file must not change meanwhile: what
/// has been cut off since the start is EIO, not zeros.
class FileSource : public Source {
 public:
  /// Opens `path` for reading; `image` is what the caller wants it to be known as.
  /// Throws UserError.
  FileSource(const std::string& path, ImageName image);
  ~FileSource() override;
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  [[nodiscard]] const ImageName& image() const override { return image_; }
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override;
  void stop() override;
  [[nodiscard]] std::string statusText() const override;

 private:
  const std::string path_;
  const ImageName image_;
  UniqueFd fd_;
  std::uint64_t size_ = 0;
  std::atomic<bool> stopped_ = false;
  std::atomic<int> running_ = 0;  // reads whose completion has not returned
};

}  // namespace netcow
