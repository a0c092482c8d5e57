// SPDX-License-Identifier: Apache-2.0
#include "cache/caching_source.h"

#include <cerrno>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "base/logging.h"
#include "cache/pending_parts.h"

namespace netcow {

CachingSource::CachingSource(std::unique_ptr<Source> inner, const CacheOptions& options)
    : inner_(std::move(inner)), space_(std::in_place, options.folder, options.limit) {
  try {
    owned_ = OwnedCache::open(*space_, {inner_->image(), inner_->size(), options.servers});
    whyNot_ = "another mount uses it";
  } catch (const UserError& error) {
    spdlog::warn("going on without the cache: {}", error.what());
    whyNot_ = error.what();
  }
  cache_ = owned_.get();
}

CachingSource::CachingSource(std::unique_ptr<Source> inner, std::unique_ptr<OwnedCache> owned)
    : inner_(std::move(inner)), owned_(std::move(owned)), cache_(owned_.get()) {}

CachingSource::~CachingSource() {
  stop();
  close();
}

void CachingSource::read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) {
  // Counted before stopped_ is looked at: stop() sets it before it waits for the count, so one of
  // the two sees the other.
  ++running_;
  OwnedCache* const cache = cache_.load(std::memory_order_acquire);
  const bool inside = offset <= size() && buffer.size() <= size() - offset;
  if (stopped_) {
    done(errnoCode(EIO));
  } else if (cache != nullptr && inside) {
    readThrough(*cache, buffer, offset, std::move(done));
  } else {
    inner_->read(buffer, offset, std::move(done));
  }
  if (--running_ == 0) {
    running_.notify_all();
  }
}

void CachingSource::readThrough(OwnedCache& cache, std::span<std::byte> buffer,
                                std::uint64_t offset, Completion done) {
  std::vector<MissingPart> missing;
  cache.blocks().read(buffer, offset, missing);
  if (missing.empty()) {
    done({});
    return;
  }
  if (missing.size() == 1) {
    fetch(cache, missing.front(), std::move(done));
    return;
  }
  const auto pending = std::make_shared<PendingParts>(std::move(done));
  for (const MissingPart& part : missing) {
    fetch(cache, part, [pending](const std::error_code& error) { pending->report(error); });
  }
}

void CachingSource::fetch(OwnedCache& cache, const MissingPart& part, Completion done) {
  inner_->read(part.buffer, part.offset,
               [&cache, part, done = std::move(done)](const std::error_code& error) mutable {
                 if (!error) {
                   // Where the queue is full the blocks are not kept, and nobody waits.
                   static_cast<void>(cache.queue().offer(part.buffer, part.offset));
                 }
                 done(error);
               });
}

void CachingSource::stop() {
  stopped_ = true;
  inner_->stop();
  for (int running = running_; running != 0; running = running_) {
    running_.wait(running);
  }
}

void CachingSource::close() {
  cache_ = nullptr;
  owned_.reset();
}

std::string CachingSource::cacheLine() const {
  OwnedCache* const cache = cache_.load();
  if (cache == nullptr) {
    return "not used: " + whyNot_;
  }
  if (cache->blocks().off()) {
    return "not used any more: " + cache->folder() + " failed, see the log";
  }
  const std::uint64_t cached = cache->blocks().cachedBytes();
  return fmt::format("{} of {} bytes ({} %) in {}", cached, size(),
                     size() == 0 ? 0 : cached * 100 / size(), cache->folder());
}

std::string CachingSource::statusText() const {
  return inner_->statusText() + "Cache:    " + cacheLine() + "\n";
}

}  // namespace netcow
