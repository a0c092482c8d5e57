// SPDX-License-Identifier: Apache-2.0
#include "cache/owned_cache.h"

#include <exception>
#include <utility>

#include "base/errors.h"
#include "base/logging.h"

namespace netcow {

std::unique_ptr<OwnedCache> OwnedCache::open(const CacheSpace& space, const CacheRecord& record) {
  const std::string name = cacheFolderName(record.image);
  const std::string folder = space.folder() + "/" + name;
  try {
    auto lock = CacheLock::take(folder);
    if (!lock) {
      return nullptr;
    }
    auto session = openCacheSession(folder, record, Clock::system());
    return std::make_unique<OwnedCache>(
        std::move(*lock), std::move(session), record.size,
        [&space, name](std::uint64_t wanted) { return space.shareOf(name, wanted); });
  } catch (const std::system_error& error) {
    throw UserError(error.what() + std::string("; check the disk of the cache"));
  }
}

OwnedCache::OwnedCache(CacheLock lock, std::unique_ptr<Session> session, std::uint64_t imageSize,
                       BlockCache::Share share)
    : lock_(std::move(lock)),
      session_(std::move(session)),
      blocks_(*session_, imageSize, std::move(share)),
      queue_(blocks_),
      checkpoints_([this] { makeCheckpoints(); }) {
  lock_.touch();
  queue_.afterwards([this] { blocks_.tidyUp(); });
}

OwnedCache::~OwnedCache() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  wake_.notifyAll();
  checkpoints_.join();
  queue_.drain();
  lock_.touch();
  if (blocks_.off() || abandoned_) {
    return;  // as it is, the next opener goes back to what surely is on the disk
  }
  if (const auto error = session_->close()) {
    spdlog::warn("cannot close the cache {}: {}; it is recovered when it is used again", folder(),
                 error.message());
  }
}

std::uint64_t OwnedCache::spaceTaken() const {
  std::uint64_t bytes = 0;
  // What cannot be told now is told next time: a number for people and tests.
  static_cast<void>(session_->spaceTaken(bytes));
  return bytes;
}

void OwnedCache::makeCheckpoints() {
  MutexLock lock(mutex_);
  while (!stop_) {
    wake_.waitFor(lock, kCheckpointEvery);
    if (stop_) {
      return;
    }
    lock.unlock();
    blocks_.checkpoint();
    lock.lock();
  }
}

}  // namespace netcow
