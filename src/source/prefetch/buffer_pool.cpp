// SPDX-License-Identifier: Apache-2.0
#include "source/prefetch/buffer_pool.h"

#include <utility>

namespace netcow {

BufferPool::Buffer BufferPool::take(std::size_t size) {
  const Return giveBackHere{this, size};
  const MutexLock lock(mutex_);
  if (size == kLargest && !kept_.empty()) {
    Buffer buffer(kept_.back().release(), giveBackHere);
    kept_.pop_back();
    return buffer;
  }
  while (allocated_ + size > limit_ && !kept_.empty()) {
    kept_.pop_back();
    allocated_ -= kLargest;
  }
  if (allocated_ + size > limit_) {
    return {nullptr, giveBackHere};
  }
  Buffer buffer(new std::byte[size], giveBackHere);  // not zeroed
  allocated_ += size;
  return buffer;
}

void BufferPool::put(std::byte* memory, std::size_t size) {
  std::unique_ptr<std::byte[]> owned(memory);
  const MutexLock lock(mutex_);
  if (size == kLargest && kept_.size() < kMostKept) {
    kept_.push_back(std::move(owned));
  } else {
    allocated_ -= size;
  }
}

void BufferPool::giveBack() {
  std::vector<std::unique_ptr<std::byte[]>> unused;
  {
    const MutexLock lock(mutex_);
    unused.swap(kept_);
    allocated_ -= unused.size() * kLargest;
  }
}

std::uint64_t BufferPool::allocated() const {
  const MutexLock lock(mutex_);
  return allocated_;
}

}  // namespace netcow
