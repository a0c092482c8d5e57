// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "format/checksum_list.h"

namespace netcow {

/// The list of checksums beside an image file, PATH.crc; nothing if there is no such file.
/// `imageSize`: bytes of the image. Throws UserError, which ends in `advice`, when it is not sound
/// or not of an image of this size; std::system_error when it cannot be read.
std::optional<ChecksumList> readChecksumFile(const std::string& path, std::uint64_t imageSize,
                                             const std::string& advice);

}  // namespace netcow
