// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "format/cluster_bits.h"

namespace netcow {

/// One cluster as a client sent it.
struct Update {
  std::uint64_t cluster = 0;
  /// Counts up in the order in which clients began to send. Of a cluster's updates the one with the
  /// highest number is the newest, whenever they arrive.
  std::uint64_t sequence = 0;
  ClusterBits bits;
  std::span<const std::byte> content;  ///< kBlockSize bytes for each bit that is set, ascending

  /// Bytes as they were sent.
  [[nodiscard]] std::uint64_t size() const { return sizeof bits + content.size(); }
};

/// Takes the body of an update apart: its bits, then the blocks. The update's content lies in
/// `body`. Throws Refusal for any other length than the bits ask for.
Update parseUpdate(std::uint64_t cluster, std::uint64_t sequence, std::span<const std::byte> body);

}  // namespace netcow
