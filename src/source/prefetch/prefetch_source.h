// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "source/prefetch/prefetcher.h"
#include "source/source.h"

namespace netcow {

/// A source that reads ahead of those who read another one in order: forward or backward, without
/// gaps or in steps, several at once. Thread-safe.
///
/// What is not here goes straight to the other source, into the reader's own memory, before
/// anything that is asked for ahead. What is here is copied, in the reader's thread; a read of
/// what is under way waits for it and is answered by the thread of the other source. Where
/// reading ahead fails, the reader's own request is sent, and its error is what counts.
///
/// What a reader may have to wait behind is bounded: see LinkEstimate.
class PrefetchSource final : public Source {
 public:
  struct Options {
    /// The most that may be held, in bytes.
    std::uint64_t memory = std::uint64_t{64} << 20U;
    /// What nobody reads for so long, at most twice that, is given back.
    std::chrono::milliseconds idle{10'000};
  };

  PrefetchSource(std::unique_ptr<Source> inner, Options options,
                 const Clock& clock = Clock::system());
  ~PrefetchSource() override;
  PrefetchSource(const PrefetchSource&) = delete;
  PrefetchSource& operator=(const PrefetchSource&) = delete;

  [[nodiscard]] const ImageName& image() const override { return inner_->image(); }
  [[nodiscard]] std::uint64_t size() const override { return inner_->size(); }
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override;
  void willNeedNear(std::uint64_t offset, std::uint64_t length) override;
  [[nodiscard]] std::optional<std::chrono::steady_clock::duration> shortestRoundTrip()
      const override {
    return inner_->shortestRoundTrip();
  }
  void beginBatch() override { inner_->beginBatch(); }
  void endBatch() override { inner_->endBatch(); }
  void stop() override;
  [[nodiscard]] std::string statusText() const override;

  /// Bytes that are held now.
  [[nodiscard]] std::uint64_t memory() const { return pool_.allocated(); }

 private:
  using Parts = std::vector<Prefetcher::Part>;

  [[nodiscard]] bool isInside(std::uint64_t offset, std::uint64_t length) const;
  void answer(const Parts& parts, const std::shared_ptr<PendingOperation>& operation);
  void ask(std::vector<ExtentPointer> extents);
  void ended(const ExtentPointer& extent, std::error_code error);
  void wakeHousekeeper() NETCOW_REQUIRES(mutex_);
  void leave();
  void keepHouse();

  const std::unique_ptr<Source> inner_;
  const Options options_;
  BufferPool pool_;
  mutable Mutex mutex_;  // never held in a call of inner_ or in a completion
  Prefetcher prefetcher_ NETCOW_GUARDED_BY(mutex_);
  bool stopped_ NETCOW_GUARDED_BY(mutex_) = false;
  int inside_ NETCOW_GUARDED_BY(mutex_) = 0;  // threads that answer or ask
  ConditionVariable left_;
  std::once_flag stopOnce_;
  // True while something may have to be given back: only then the housekeeper wakes up at times.
  bool hasMemory_ NETCOW_GUARDED_BY(mutex_) = false;
  bool asked_ NETCOW_GUARDED_BY(mutex_) = false;  // since the housekeeper looked
  ConditionVariable hasWork_;
  std::thread housekeeper_;  // last: it uses all of the above
};

}  // namespace netcow
