// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "format/image_name.h"

namespace netcow {

/// The first two lines of every source's statusText(). Users' scripts cut them at single blanks:
/// their form is fixed (docs/formats/session.md).
inline std::string statusHead(const ImageName& image) {
  return "Image:    " + image.name + "\nRevision: " + std::to_string(image.revision) + "\n";
}

}  // namespace netcow
