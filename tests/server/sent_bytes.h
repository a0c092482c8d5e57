// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "server/blocks/client_protocol.h"

namespace netcow::test {

/// The next bytes that a client is sent, all of which it takes: what fits into a buffer, or a piece
/// of the image's file. Nothing when it is to be disconnected.
inline std::vector<std::byte> takeNext(ClientProtocol& protocol, std::size_t bufferSize) {
  std::vector<std::byte> bytes;
  if (const auto piece = protocol.filePiece()) {
    bytes.resize(piece->length);
    if (protocol.image()->read(bytes, piece->offset)) {
      return {};
    }
  } else {
    bytes.resize(bufferSize);
    bytes.resize(protocol.gather(bytes, DiskAccess::mayWait).length);
  }
  protocol.sent(bytes.size());
  return bytes;
}

}  // namespace netcow::test
