// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace netcow {

/// An image and one of its revisions, kept in a folder as the file NAME.rN.
struct ImageName {
  std::string name;            ///< may contain '/': sub-folders
  std::uint16_t revision = 0;  ///< 1 to 65535; 0 where a request means "the latest"

  /// "NAME.rN".
  [[nodiscard]] std::string fileName() const;
  bool operator==(const ImageName&) const = default;
};

/// Whether NAME may be asked for: not empty, does not begin with '.' or '/', does not end in
/// '/', holds no "/." (so never leaves the folder) and no control character.
bool isValidImageName(std::string_view name);

/// Takes "NAME.rN" apart (a path relative to the folder of images); nothing if the name is not
/// valid or N is not a plain number from 1 to 65535.
std::optional<ImageName> parseImageFileName(std::string_view fileName);

}  // namespace netcow
