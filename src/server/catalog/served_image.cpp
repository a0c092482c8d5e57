// SPDX-License-Identifier: Apache-2.0
#include "server/catalog/served_image.h"

#include <algorithm>
#include <utility>

#include "base/whole_io.h"
#include "format/geometry.h"

namespace netcow {

ServedImage::ServedImage(ImageName image, UniqueFd fd, std::uint64_t size)
    : image_(std::move(image)), fd_(std::move(fd)), size_(size) {}

std::uint64_t ServedImage::servedSize() const {
  return roundUp(size_, kBlockSize);
}

std::error_code ServedImage::read(std::span<std::byte> buffer, std::uint64_t offset) const {
  // A file that grew since keeps its old size here, or clients would disagree about its tail.
  const std::uint64_t real = offset < size_ ? size_ - offset : 0;
  const auto inside = static_cast<std::size_t>(std::min<std::uint64_t>(real, buffer.size()));
  if (const auto error = preadOrZeros(fd_.get(), buffer.first(inside), offset)) {
    return error;
  }
  std::ranges::fill(buffer.subspan(inside), std::byte{0});
  return {};
}

}  // namespace netcow
