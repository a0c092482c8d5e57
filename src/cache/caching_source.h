// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "cache/cache_space.h"
#include "cache/owned_cache.h"
#include "source/source.h"

namespace netcow {

struct CacheOptions {
  std::string folder;                  ///< of --cache
  std::optional<std::uint64_t> limit;  ///< bytes, of --cache-size
  std::string servers;                 ///< host list that the blocks come from
};

/// A source that keeps what it read from another one on the disk, for the next mount of the image.
///
/// What the cache has is read in the calling thread, straight into the caller's buffer; what it
/// lacks is read from the inner source, straight into the buffer too, and copied for the cache when
/// it has arrived. The cache may be slow, full, broken or somebody else's: then reads are what they
/// are without it.
class CachingSource : public Source {
 public:
  /// Throws UserError if the folder of --cache cannot be one. Anything that is wrong with the
  /// image's part of it is logged, and the source goes on without.
  CachingSource(std::unique_ptr<Source> inner, const CacheOptions& options);
  /// The same over a cache of the caller's, for tests.
  CachingSource(std::unique_ptr<Source> inner, std::unique_ptr<OwnedCache> owned);
  ~CachingSource() override;
  CachingSource(const CachingSource&) = delete;
  CachingSource& operator=(const CachingSource&) = delete;

  [[nodiscard]] const ImageName& image() const override { return inner_->image(); }
  [[nodiscard]] std::uint64_t size() const override { return inner_->size(); }
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override;
  void stop() override;
  [[nodiscard]] std::string statusText() const override;

  /// After stop(): lets go of the cache, so that others can have it. May take as long as a sync.
  void close();

 private:
  void readThrough(OwnedCache& cache, std::span<std::byte> buffer, std::uint64_t offset,
                   Completion done);
  void fetch(OwnedCache& cache, const MissingPart& part, Completion done);
  [[nodiscard]] std::string cacheLine() const;

  const std::unique_ptr<Source> inner_;
  std::optional<CacheSpace> space_;
  std::string whyNot_;  ///< there is no cache; for people
  std::unique_ptr<OwnedCache> owned_;
  std::atomic<OwnedCache*> cache_ = nullptr;  ///< owned_, for those who read
  std::atomic<bool> stopped_ = false;
  std::atomic<int> running_ = 0;  ///< calls of read() that have not returned
};

}  // namespace netcow
