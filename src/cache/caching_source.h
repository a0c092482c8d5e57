// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "cache/cache_client.h"
#include "cache/cache_filler.h"
#include "cache/cache_server.h"
#include "cache/cache_space.h"
#include "cache/owned_cache.h"
#include "cache/span_checks.h"
#include "source/source.h"

namespace netcow {

struct CacheOptions {
  std::string folder;                  ///< of --cache
  std::optional<std::uint64_t> limit;  ///< bytes, of --cache-size
  std::string servers;                 ///< host list that the blocks come from
  ChecksumFetcher checksums;           ///< empty: there is nothing to compare with
  bool prefetchAll = false;            ///< fetch the whole image while nobody reads
  CacheFiller::Pace pace;
  CacheClient::Timing timing;
};

/// A source that keeps what it read from another one on the disk, for the next mount of the image.
///
/// What the cache has is read in the calling thread, straight into the caller's buffer; what it
/// lacks is read from the inner source, straight into the buffer too, and copied for the cache when
/// it has arrived. The cache may be slow, full or broken: then reads are what they are without it.
///
/// Of the mounts of one image on the host, the first owns the cache and serves the others from it
/// (CacheServer, CacheClient). When it ends, another one takes over.
class CachingSource : public Source {
 public:
  /// Throws UserError if the folder of --cache cannot be one. Anything that is wrong with the
  /// image's part of it is logged, and the source goes on without.
  CachingSource(std::unique_ptr<Source> inner, const CacheOptions& options);
  /// The same over a cache of the caller's alone, for tests.
  CachingSource(std::unique_ptr<Source> inner, std::unique_ptr<OwnedCache> owned,
                const CacheOptions& options = {});
  ~CachingSource() override;
  CachingSource(const CachingSource&) = delete;
  CachingSource& operator=(const CachingSource&) = delete;

  [[nodiscard]] const ImageName& image() const override { return inner_->image(); }
  [[nodiscard]] std::uint64_t size() const override { return inner_->size(); }
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override;
  /// For the inner source, which ends it by itself if that is not read because it is here.
  void willNeedNear(std::uint64_t offset, std::uint64_t length) override {
    inner_->willNeedNear(offset, length);
  }
  [[nodiscard]] std::optional<std::chrono::steady_clock::duration> shortestRoundTrip()
      const override {
    return inner_->shortestRoundTrip();
  }
  void beginBatch() override { inner_->beginBatch(); }
  void endBatch() override { inner_->endBatch(); }
  void stop() override;
  [[nodiscard]] std::string statusText() const override;

  /// After stop(): lets go of the cache, so that others can have it. May take as long as a sync.
  void close();

  /// Whether this mount has the cache, and what it does not have it asks another mount for.
  [[nodiscard]] bool isOwner() const { return cache_.load() != nullptr; }
  [[nodiscard]] bool isClient() const { return client_ && client_->connected(); }

 private:
  bool becomeOwner();
  void adopt(std::unique_ptr<OwnedCache> owned);
  void share();
  void readThrough(OwnedCache& cache, std::span<std::byte> buffer, std::uint64_t offset,
                   Completion done);
  void fetch(OwnedCache& cache, const MissingPart& part, Completion done);
  [[nodiscard]] std::string cacheLine() const;

  const std::unique_ptr<Source> inner_;
  const CacheOptions options_;
  const CacheRecord record_;
  std::optional<CacheSpace> space_;
  std::string whyNot_;  ///< there is no cache at all; for people
  // Set before cache_ by the thread that adopts, and gone only after stop().
  std::unique_ptr<OwnedCache> owned_;
  std::unique_ptr<SpanChecks> checks_;
  std::unique_ptr<CacheFiller> filler_;
  std::unique_ptr<CacheServer> server_;
  std::atomic<OwnedCache*> cache_ = nullptr;  ///< owned_, for those who read
  std::unique_ptr<CacheClient> client_;       ///< of a mount that was not the first
  std::atomic<bool> saidWhyNot_ = false;
  std::atomic<bool> stopped_ = false;
  std::atomic<int> running_ = 0;  ///< calls of read() that have not returned
};

}  // namespace netcow
