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
    : inner_(std::move(inner)),
      options_(options),
      record_{inner_->image(), inner_->size(), options.servers},
      space_(std::in_place, options.folder, options.limit) {
  try {
    if (auto owned = OwnedCache::open(*space_, record_)) {
      adopt(std::move(owned));
      return;
    }
  } catch (const UserError& error) {
    spdlog::warn("going on without the cache: {}", error.what());
    whyNot_ = error.what();
    return;
  }
  CacheClient::Hooks hooks;
  hooks.network = [this](std::span<std::byte> buffer, std::uint64_t offset, Completion done) {
    inner_->read(buffer, offset, std::move(done));
  };
  hooks.becomeOwner = [this] { return becomeOwner(); };
  client_ = std::make_unique<CacheClient>(space_->folder() + "/" + cacheFolderName(record_.image),
                                          record_, std::move(hooks), options_.timing);
}

CachingSource::CachingSource(std::unique_ptr<Source> inner, std::unique_ptr<OwnedCache> owned,
                             const CacheOptions& options)
    : inner_(std::move(inner)),
      options_(options),
      record_{inner_->image(), inner_->size(), options.servers} {
  adopt(std::move(owned));
}

CachingSource::~CachingSource() {
  stop();
  close();
}

void CachingSource::adopt(std::unique_ptr<OwnedCache> owned) {
  owned_ = std::move(owned);
  if (options_.checksums) {
    checks_ = std::make_unique<SpanChecks>(owned_->blocks(), owned_->queue(), size(),
                                           owned_->recovered(), options_.checksums);
  }
  if (options_.prefetchAll) {
    filler_ = std::make_unique<CacheFiller>(*inner_, *owned_, options_.pace);
  }
  cache_.store(owned_.get(), std::memory_order_release);
  if (space_) {
    share();
  }
}

void CachingSource::share() {
  try {
    server_ = std::make_unique<CacheServer>(owned_->folder(), *this);
  } catch (const std::system_error& error) {
    spdlog::warn("other mounts cannot share this one's cache: {}", error.what());
  }
}

bool CachingSource::becomeOwner() {
  try {
    auto owned = OwnedCache::open(*space_, record_);
    if (!owned) {
      return false;
    }
    spdlog::info("this mount has the cache {} now", owned->folder());
    adopt(std::move(owned));
    return true;
  } catch (const UserError& error) {
    if (!saidWhyNot_.exchange(true)) {
      spdlog::warn("going on without the cache: {}", error.what());
    }
    return false;
  }
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
  } else if (!client_ || !inside || !client_->read(buffer, offset, done)) {
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
  if (client_) {
    client_->stop();  // first: its thread makes what follows
  }
  server_.reset();
  if (filler_) {
    filler_->stop();
  }
  inner_->stop();
  for (int running = running_; running != 0; running = running_) {
    running_.wait(running);
  }
}

void CachingSource::close() {
  cache_ = nullptr;
  filler_.reset();
  checks_.reset();
  owned_.reset();
}

std::string CachingSource::cacheLine() const {
  OwnedCache* const cache = cache_.load(std::memory_order_acquire);
  if (cache == nullptr) {
    if (!client_) {
      return "not used: " + whyNot_;
    }
    return isClient() ? "shared with another mount" : "not used now: another mount has it";
  }
  if (cache->blocks().off()) {
    return "not used any more: " + cache->folder() + " failed, see the log";
  }
  const std::uint64_t cached = cache->blocks().cachedBytes();
  return fmt::format("{} of {} bytes ({} %) in {}{}", cached, size(),
                     size() == 0 ? 0 : cached * 100 / size(), cache->folder(),
                     filler_ ? filler_->text() : "");
}

std::string CachingSource::statusText() const {
  return inner_->statusText() + "Cache:    " + cacheLine() + "\n";
}

}  // namespace netcow
