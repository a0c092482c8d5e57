// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include "base/unique_fd.h"
#include "format/image_name.h"

namespace netcow {

/// One image file, open for reading: it stays readable, in the size it had when it was opened,
/// also when its name is removed or given to another file. read() is thread-safe.
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
  [[nodiscard]] std::error_code read(std::span<std::byte> buffer, std::uint64_t offset) const;

 private:
  ImageName image_;
  UniqueFd fd_;
  std::uint64_t size_;
};

}  // namespace netcow
