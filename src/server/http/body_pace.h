// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace netcow {

/// How long a server waits for the rest of a body: as long as it comes at a minimal rate on the
/// whole, with a start of some seconds.
struct BodyPace {
  std::chrono::milliseconds start = std::chrono::seconds(30);
  /// Clients give up an upload below 1 000 bytes/s by themselves.
  std::uint64_t bytesPerSecond = 1000;

  /// How long the next bytes may take when `received` came in `elapsed`; 0 = it took too long.
  [[nodiscard]] std::chrono::milliseconds patience(std::chrono::milliseconds elapsed,
                                                   std::uint64_t received) const {
    const std::chrono::milliseconds allowed =
        start + std::chrono::milliseconds(received * 1000 / bytesPerSecond);
    return std::max(allowed - elapsed, std::chrono::milliseconds(0));
  }
};

}  // namespace netcow
