// SPDX-License-Identifier: Apache-2.0
#include "mount/request_memory.h"

#include <algorithm>
#include <new>

namespace netcow {
namespace {

// libfuse hands a callback a bare pointer into the buffer it was given, so the way from there to
// the buffer's owner is the thread, which works on one request at a time.
thread_local LentBuffer* lentHere = nullptr;

}  // namespace

void ReturnToPool::operator()(std::byte* memory) const noexcept {
  pool->giveBack(memory);
}

MemoryPool::MemoryPool(std::size_t pieceBytes, std::size_t keep)
    : pieceBytes_(pieceBytes), keep_(keep) {
  kept_.reserve(keep);  // giveBack() must not fail
}

MemoryPool::~MemoryPool() {
  for (std::byte* memory : kept_) {
    std::free(memory);
  }
}

PooledMemory MemoryPool::takeKept() {
  const MutexLock lock(mutex_);
  if (kept_.empty()) {
    return {nullptr, ReturnToPool{this}};
  }
  std::byte* memory = kept_.back();
  kept_.pop_back();
  return {memory, ReturnToPool{this}};
}

PooledMemory MemoryPool::take() {
  PooledMemory memory = takeKept();
  return memory != nullptr ? std::move(memory) : adopt(std::malloc(pieceBytes_));
}

PooledMemory MemoryPool::adopt(void* memory) {
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return {static_cast<std::byte*>(memory), ReturnToPool{this}};
}

void MemoryPool::giveBack(std::byte* memory) noexcept {
  {
    const MutexLock lock(mutex_);
    if (kept_.size() < keep_) {
      kept_.push_back(memory);
      return;
    }
  }
  std::free(memory);
}

PooledMemory RequestMemory::forRead(std::size_t bytes) {
  if (bytes > kLargestPayload) {  // never asked for by a kernel that was told max_write
    throw std::bad_alloc();
  }
  return bytes <= kSmallRead ? smallReads_.take() : largeReads_.take();
}

RequestMemory::KeptBytes RequestMemory::keepPayload(std::span<const std::byte> payload) {
  if (lentHere != nullptr && lentHere->memory_ != nullptr) {
    return {lentHere->takeBack(), payload};
  }
  PooledMemory copy = forRead(payload.size());
  std::copy(payload.begin(), payload.end(), copy.get());
  const std::span<const std::byte> bytes(copy.get(), payload.size());
  return {std::move(copy), bytes};
}

LentBuffer::LentBuffer(PooledMemory memory) : memory_(std::move(memory)) {
  lentHere = this;
}

LentBuffer::~LentBuffer() {
  lentHere = nullptr;
}

}  // namespace netcow
