// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace netcow {

/// What a run of uploads sent, and what it did not have to send.
struct UploadFigures {
  std::uint64_t clustersSent = 0;       ///< updates that were acknowledged
  std::uint64_t bytesSent = 0;          ///< of their bodies
  std::uint64_t clustersUnchanged = 0;  ///< written, but to what the server has already
  std::uint64_t bytesUnchanged = 0;     ///< of the bodies that this saved
  std::uint64_t blocksOfBase = 0;       ///< left out of updates, or of clusters not sent at all
};

/// One line for people, such as "sent 3 clusters (2.1 MiB); ...".
std::string summaryOf(const UploadFigures& figures);

}  // namespace netcow
