// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include "base/unique_fd.h"
#include "format/image_name.h"

namespace netcow {

/// Whether reading may wait for the disk.
enum class DiskAccess {
  cachedOnly,  ///< only what the page cache has is read; else operation_would_block
  mayWait,
};

/// One image file, open for reading: it stays readable, in the size it had when it was opened,
/// also when its name is removed or given to another file. Immutable, so thread-safe.
class ServedImage {
 public:
  /// `size`: bytes of the file behind `fd`.
  ServedImage(ImageName image, UniqueFd fd, std::uint64_t size);

  /// The revision is the one that was found, never 0.
  [[nodiscard]] const ImageName& image() const { return image_; }
  /// Bytes of the file.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// Bytes as clients see it: size() rounded up to whole blocks, zeros behind the real end.
  [[nodiscard]] std::uint64_t servedSize() const;

  /// Fills `buffer` from `offset`; what lies behind the real end reads as zeros.
  [[nodiscard]] std::error_code read(std::span<std::byte> buffer, std::uint64_t offset,
                                     DiskAccess access = DiskAccess::mayWait) const;
  /// Whether a range of the file is in the page cache, as far as a look now and then shows: the
  /// system reads ahead in larger steps than these. False where the file system cannot tell.
  [[nodiscard]] bool isCached(std::uint64_t offset, std::uint64_t length) const;
  /// Asks the system to begin reading a range that will be wanted soon.
  void willNeed(std::uint64_t offset, std::uint64_t length) const;
  /// To send from; lives as long as this object.
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  ImageName image_;
  UniqueFd fd_;
  std::uint64_t size_;
};

}  // namespace netcow
