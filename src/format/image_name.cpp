// SPDX-License-Identifier: Apache-2.0
#include "format/image_name.h"

#include <algorithm>
#include <charconv>

namespace netcow {

std::string ImageName::fileName() const {
  return name + ".r" + std::to_string(revision);
}

bool isValidImageName(std::string_view name) {
  if (name.empty() || name.front() == '.' || name.front() == '/' || name.back() == '/') {
    return false;
  }
  if (name.find("/.") != std::string_view::npos || name.find("//") != std::string_view::npos) {
    return false;
  }
  return std::none_of(name.begin(), name.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
}

std::optional<ImageName> parseImageFileName(std::string_view fileName) {
  const std::size_t mark = fileName.rfind(".r");
  if (mark == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view number = fileName.substr(mark + 2);
  const std::string_view name = fileName.substr(0, mark);
  std::uint16_t revision = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), revision);
  const bool plain =
      error == std::errc{} && end == number.data() + number.size() && number.front() != '0';
  if (!plain || !isValidImageName(name)) {
    return std::nullopt;
  }
  return ImageName{std::string(name), revision};
}

}  // namespace netcow
