// SPDX-License-Identifier: Apache-2.0
#include "cache/store_queue.h"

#include <cstring>
#include <utility>

#include "format/geometry.h"

namespace netcow {

StoreQueue::StoreQueue(BlockCache& cache) : cache_(cache), thread_([this] { run(); }) {}

StoreQueue::~StoreQueue() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  changed_.notifyAll();
  thread_.join();
}

bool StoreQueue::offer(std::span<const std::byte> bytes, std::uint64_t offset,
                       BlockCache::Room room) {
  const std::uint64_t begin = roundUp(offset, kBlockSize);
  const std::uint64_t end = roundDown(offset + bytes.size(), kBlockSize);
  if (begin >= end || cache_.off()) {
    return true;
  }
  {
    const MutexLock lock(mutex_);
    if (waiting_ + (end - begin) > kMost) {
      return false;
    }
    waiting_ += end - begin;
  }
  Item item;
  item.length = end - begin;
  item.offset = begin;
  item.room = room;
  item.bytes = std::make_unique_for_overwrite<std::byte[]>(item.length);
  std::memcpy(item.bytes.get(), bytes.data() + (begin - offset), item.length);
  const MutexLock lock(mutex_);
  items_.push_back(std::move(item));
  changed_.notifyAll();
  return true;
}

void StoreQueue::afterwards(std::function<void()> task) {
  Item item;
  item.task = std::move(task);
  const MutexLock lock(mutex_);
  items_.push_back(std::move(item));
  changed_.notifyAll();
}

bool StoreQueue::isBusy() {
  const MutexLock lock(mutex_);
  return waiting_ > kMost / 4;
}

void StoreQueue::drain() {
  MutexLock lock(mutex_);
  while (!items_.empty() || working_) {
    changed_.wait(lock);
  }
}

void StoreQueue::run() {
  MutexLock lock(mutex_);
  for (;;) {
    while (items_.empty() && !stop_) {
      changed_.wait(lock);
    }
    if (items_.empty()) {
      return;
    }
    Item item = std::move(items_.front());
    items_.pop_front();
    working_ = true;
    lock.unlock();
    deal(item);
    lock.lock();
    waiting_ -= item.length;
    working_ = false;
    if (items_.empty()) {
      changed_.notifyAll();
    }
  }
}

void StoreQueue::deal(Item& item) {
  if (item.task) {
    item.task();
    return;
  }
  const std::span<const std::byte> bytes(item.bytes.get(), item.length);
  if (!cache_.store(bytes, item.offset, item.room) && item.room == BlockCache::Room::find) {
    noRoom_ = true;
  }
}

}  // namespace netcow
