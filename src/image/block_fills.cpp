// SPDX-License-Identifier: Apache-2.0
#include "image/block_fills.h"

#include <utility>

namespace netcow {

std::shared_ptr<BlockFill> BlockFills::join(std::uint64_t block, PartialWrite write) {
  const MutexLock lock(mutex_);
  auto& fill = fills_[block];
  const bool isNew = fill == nullptr;
  if (isNew) {
    fill = std::make_shared<BlockFill>();
    fill->block = block;
  }
  fill->writes.push_back(std::move(write));
  return isNew ? fill : nullptr;
}

std::vector<PartialWrite> BlockFills::finish(BlockFill& fill) {
  const MutexLock lock(mutex_);
  fills_.erase(fill.block);
  return std::exchange(fill.writes, {});
}

}  // namespace netcow
