// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "server/catalog/image_catalog.h"

namespace netcow {

/// The answer to GET_CRC32: the bytes of NAME.rN.crc beside the image (u32 CRC-32 of the list,
/// then one u32 per dnbd3::kCrcSpan bytes of the served image). Empty when there is no such file
/// or it is not sound: another length than the image needs, or a first checksum that is wrong.
std::vector<std::byte> readChecksumList(const ImageCatalog& catalog, const ServedImage& image);

}  // namespace netcow
