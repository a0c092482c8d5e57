// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/pending_operation.h"
#include "format/geometry.h"

namespace netcow {

/// A write to a part of one block that is not local: it waits for the rest of the block.
struct PartialWrite {
  std::span<const std::byte> bytes;
  std::uint64_t within = 0;  ///< bytes into the block
  std::shared_ptr<PendingOperation> operation;
};

/// A block on its way from the base, and the writes that wait for it.
struct BlockFill {
  std::uint64_t block = 0;
  std::uint64_t baseBytes = 0;  ///< of the base that were asked for; what follows is zeros
  std::vector<PartialWrite> writes;
  alignas(64) std::byte content[kBlockSize] = {};
};

/// Which blocks are being filled: a second partial write to a block joins the fill in flight
/// instead of fetching the block again. Thread-safe.
class BlockFills {
 public:
  /// Adds a write to the fill of its block. Returns the fill if it is new: then the caller has to
  /// fetch the block and to call finish().
  std::shared_ptr<BlockFill> join(std::uint64_t block, PartialWrite write);

  /// No more writes join this fill. Returns those that did, in the order of their arrival.
  std::vector<PartialWrite> finish(BlockFill& fill);

 private:
  Mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<BlockFill>> fills_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow
