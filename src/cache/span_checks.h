// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "base/mutex.h"
#include "cache/block_cache.h"
#include "cache/store_queue.h"
#include "format/checksum_list.h"

namespace netcow {

/// Asks the server for its list of checksums; nothing if it has none, or none can be had. May take
/// as long as the network does.
using ChecksumFetcher = std::function<std::optional<ChecksumList>()>;

/// Compares cached spans of 16 MiB with the server's checksums, each once while the cache is open,
/// when it is first read from. That costs nothing for what nobody reads. A span that is wrong is
/// forgotten, and fetched again when it is wanted.
///
/// Of a cache that was not closed, a span that is wholly cached is served only after it was found
/// right. Of any other it is served meanwhile. A span that is cached in part cannot be checked.
/// Thread-safe.
class SpanChecks : public ReadGate {
 public:
  /// `blocks` and `queue` must outlive it, and nobody may read from `blocks` any more when it is
  /// destroyed. `recovered`: the cache was not closed.
  SpanChecks(BlockCache& blocks, StoreQueue& queue, std::uint64_t imageSize, bool recovered,
             ChecksumFetcher fetch);
  ~SpanChecks() override;
  SpanChecks(const SpanChecks&) = delete;
  SpanChecks& operator=(const SpanChecks&) = delete;

  [[nodiscard]] bool mayRead(std::uint64_t offset, std::uint64_t length) override;

 private:
  enum class State : std::uint8_t { unknown, waiting, wrong, done };

  bool mayServe(std::uint64_t span);
  void run();
  std::optional<std::uint64_t> next();
  void check(std::uint64_t span, const ChecksumList& list);
  /// Nothing if the span is not wholly cached.
  std::optional<std::uint32_t> checksumOf(std::uint64_t begin, std::uint64_t end);

  BlockCache& blocks_;
  StoreQueue& queue_;
  const std::uint64_t imageSize_;
  const ChecksumFetcher fetch_;
  const std::unique_ptr<std::atomic<State>[]> states_;  ///< by number of the span
  std::atomic<bool> distrust_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<std::uint64_t> waiting_ NETCOW_GUARDED_BY(mutex_);
  std::atomic<bool> stop_ = false;  ///< set under the lock
  std::thread thread_;
};

}  // namespace netcow
