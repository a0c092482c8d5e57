// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>

#include "session/session.h"

namespace netcow::test {

/// What a session holds, as far as two openings of it can be compared.
struct HeldContent {
  struct Entry {
    std::uint64_t place = 0;
    ClusterBits bits;
    std::size_t content = 0;  ///< a hash of the first and the last block of each local run
    bool operator==(const Entry&) const = default;
  };
  std::uint64_t imageSize = 0;
  std::uint64_t validRemoteSize = 0;
  std::map<std::uint64_t, Entry> clusters;

  static HeldContent of(const Session& session);
  bool operator==(const HeldContent&) const = default;
};

}  // namespace netcow::test
