// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_filler.h"

#include <span>
#include <utility>

namespace netcow {

CacheFiller::CacheFiller(Source& inner, OwnedCache& cache, Pace pace)
    : inner_(inner), cache_(cache), pace_(pace), thread_([this] { run(); }) {}

CacheFiller::~CacheFiller() {
  stop();
  thread_.join();
}

void CacheFiller::stop() {
  const MutexLock lock(mutex_);
  stop_ = true;
  changed_.notifyAll();
}

std::string CacheFiller::text() const {
  switch (state_.load()) {
    case State::filling:
      return "; fetching the rest";
    case State::complete:
      return "; complete";
    case State::full:
      return "; stopped fetching at the limit of --cache-size, or of the disk";
    default:
      return "; stopped fetching";
  }
}

void CacheFiller::run() {
  std::uint64_t before = cache_.blocks().cachedBytes();
  while (pass()) {
    if (cache_.blocks().nextMissing(0, 1).length == 0) {
      state_ = State::complete;
      return;
    }
    // Some of it could not be read or kept. If nothing could, another try is of no use.
    if (std::exchange(before, cache_.blocks().cachedBytes()) == before) {
      break;
    }
  }
  if (state_ == State::filling) {
    state_ = State::gaveUp;
  }
}

bool CacheFiller::pass() {
  std::uint64_t position = 0;
  while (waitForTurn()) {
    if (cache_.queue().foundNoRoom()) {
      state_ = State::full;
      break;
    }
    const BlockCache::Range range = cache_.blocks().nextMissing(position, pace_.piece);
    if (range.length == 0) {
      return waitForAll();
    }
    position = range.offset + range.length;
    fetch(range);
  }
  waitForAll();
  return false;
}

bool CacheFiller::waitForTurn() {
  MutexLock lock(mutex_);
  while (!stop_ && !cache_.blocks().off()) {
    const std::int64_t quietAt =
        lastRead_.load(std::memory_order_relaxed) + std::chrono::nanoseconds(pace_.quiet).count();
    const bool quiet = now() >= quietAt;
    if (quiet && underWay_ < pace_.parallel && !cache_.queue().isBusy()) {
      return true;
    }
    // Woken when an answer comes. The queue and the readers do not say when they are quiet.
    changed_.waitFor(lock, quiet ? std::chrono::milliseconds(10) : pace_.quiet);
  }
  return false;
}

void CacheFiller::fetch(const BlockCache::Range& range) {
  {
    const MutexLock lock(mutex_);
    ++underWay_;
  }
  auto memory = std::make_unique_for_overwrite<std::byte[]>(range.length);
  const std::span<std::byte> buffer(memory.get(), range.length);
  inner_.read(buffer, range.offset,
              [this, range, memory = std::move(memory)](const std::error_code& error) {
                if (!error) {
                  // What does not fit is asked for again in the next pass.
                  static_cast<void>(cache_.queue().offer({memory.get(), range.length}, range.offset,
                                                         BlockCache::Room::find));
                }
                const MutexLock lock(mutex_);
                --underWay_;
                changed_.notifyAll();
              });
}

/// False if it is to stop.
bool CacheFiller::waitForAll() {
  MutexLock lock(mutex_);
  while (underWay_ > 0) {
    changed_.wait(lock);
  }
  const bool go = !stop_;
  lock.unlock();
  cache_.queue().drain();
  return go;
}

}  // namespace netcow
