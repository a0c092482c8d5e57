// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "format/checksum_list.h"
#include "format/image_name.h"
#include "source/dnbd3/dnbd3_source.h"

namespace netcow {

/// A list of checksums and where it came from.
struct FoundChecksums {
  ChecksumList list;
  std::string from;  ///< the server, for people
};

/// The list of checksums of exactly this image, from the first of options.hosts that gives a sound
/// one; all are asked at once, each on a short connection of its own. Waits at most
/// options.timing.connectLimit for names, for a connection, and whenever a list stops to arrive.
/// Throws UserError, which names every host and why it is of no use, if none gives one.
FoundChecksums downloadChecksums(const Dnbd3Options& options, const ImageName& image,
                                 std::uint64_t imageSize);

}  // namespace netcow
