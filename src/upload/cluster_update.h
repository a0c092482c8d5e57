// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "format/cluster_bits.h"
#include "format/geometry.h"

namespace netcow {

/// What one update of a cluster carries.
struct ClusterUpdate {
  std::uint64_t cluster = 0;
  std::uint64_t changes = 0;  ///< the change counter to acknowledge once it has arrived
  ClusterBits bits;           ///< the blocks it carries; all of them are local
  std::uint64_t leftOut = 0;  ///< local blocks that it does not carry, as the base has them too

  /// Bytes of its body.
  [[nodiscard]] std::uint64_t size() const { return sizeof(bits) + bits.count() * kBlockSize; }
};

}  // namespace netcow
