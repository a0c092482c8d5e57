// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "format/checksum_list.h"
#include "source/source.h"

namespace netcow {

/// What a verification has found. Spans are numbered from 0, each dnbd3::kCrcSpan bytes of the
/// image; the lists are ascending.
struct VerificationReport {
  std::uint64_t spans = 0;                ///< of the image
  std::uint64_t checked = 0;              ///< of them compared, or given up as unreadable
  std::vector<std::uint64_t> bad;         ///< differ from the list, also when read again
  std::vector<std::uint64_t> unreadable;  ///< could not be read, twice
  std::vector<std::uint64_t> onlyOnce;    ///< differed or could not be read, but are right now
  bool stopped = false;                   ///< stop() came before all were checked

  [[nodiscard]] bool allGood() const {
    return checked == spans && bad.empty() && unreadable.empty();
  }
};

/// Compares a whole image with its list of checksums.
///
/// Several spans are read at once, each into a buffer of its own, so that the source always has
/// enough to ask for and memory is bounded; threads of the verification sum them up, so that the
/// source's own thread does nothing but receive. A span that differs is read a second time before
/// it is called bad.
///
/// Lock: one, mutex_, held for bookkeeping only. Completions take it, so it is never held while
/// the source is called.
class ImageVerification {
 public:
  struct Progress {
    std::uint64_t bytes = 0;  ///< read so far, second readings not counted
    std::uint64_t size = 0;   ///< of the image
    std::uint64_t bad = 0;    ///< spans that are bad or unreadable
  };
  using Watcher = std::function<void(const Progress&)>;

  /// The most spans read at once: 64 MiB of memory.
  static constexpr std::size_t kMostInFlight = 4;

  /// Both must outlive the verification; `list` must have the length that the source's size needs.
  /// A source that does not end at a whole block is summed up as if zeros followed.
  ImageVerification(Source& source, const ChecksumList& list);
  ~ImageVerification();
  ImageVerification(const ImageVerification&) = delete;
  ImageVerification& operator=(const ImageVerification&) = delete;

  /// Verifies; returns when all is done or soon after stop(). `watch` is called in the calling
  /// thread every `interval` and at the end. To be called once.
  VerificationReport run(std::chrono::milliseconds interval, const Watcher& watch);

  /// Ends run() soon, with what was found so far; stops the source. Thread-safe.
  void stop();

 private:
  struct Buffer {
    std::unique_ptr<std::byte[]> bytes;
    std::uint64_t span = 0;
    bool again = false;                      // it is the second reading of this span
    std::atomic<std::uint32_t> missing = 0;  // pieces that have not arrived
    std::atomic<bool> failed = false;        // one of them could not be read
  };

  void work();
  [[nodiscard]] bool hasSpanToRead() const NETCOW_REQUIRES(mutex_);
  void read(Buffer& buffer);
  void readPiece(Buffer& buffer, std::span<std::byte> piece, std::uint64_t offset);
  [[nodiscard]] bool isGood(Buffer& buffer) const;
  void note(Buffer& buffer, bool good) NETCOW_REQUIRES(mutex_);
  [[nodiscard]] std::uint64_t lengthOf(std::uint64_t span) const;
  [[nodiscard]] Progress progress() const NETCOW_REQUIRES(mutex_);

  Source& source_;
  const ChecksumList& list_;
  const std::uint64_t size_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::atomic<std::uint64_t> bytesRead_ = 0;

  Mutex mutex_;
  ConditionVariable changed_;
  std::vector<Buffer*> free_ NETCOW_GUARDED_BY(mutex_);
  std::deque<Buffer*> arrived_ NETCOW_GUARDED_BY(mutex_);  // wholly; to be summed up
  std::deque<Buffer*> toReadAgain_ NETCOW_GUARDED_BY(mutex_);
  std::uint64_t nextSpan_ NETCOW_GUARDED_BY(mutex_) = 0;
  std::size_t working_ NETCOW_GUARDED_BY(mutex_) = 0;  // threads that have not ended
  bool stopping_ NETCOW_GUARDED_BY(mutex_) = false;
  VerificationReport report_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow
