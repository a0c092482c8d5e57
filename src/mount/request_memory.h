// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "base/mutex.h"

namespace netcow {

class MemoryPool;

struct ReturnToPool {
  MemoryPool* pool = nullptr;
  void operator()(std::byte* memory) const noexcept;
};
/// Memory that goes back to its pool when let go of; the pool must outlive it.
using PooledMemory = std::unique_ptr<std::byte, ReturnToPool>;

/// Pieces of memory from malloc, all of one size, kept for reuse: a fresh megabyte from the system
/// costs more in page faults than reading into it. Thread-safe.
class MemoryPool {
 public:
  /// `pieceBytes` is what take() allocates when nothing is kept; at most `keep` are kept.
  MemoryPool(std::size_t pieceBytes, std::size_t keep);
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  /// The piece used last, or a new one.
  [[nodiscard]] PooledMemory take();
  /// The piece used last, or null.
  [[nodiscard]] PooledMemory takeKept() NETCOW_EXCLUDES(mutex_);
  /// Brings memory from malloc, of at least pieceBytes, under the pool's care.
  [[nodiscard]] PooledMemory adopt(void* memory);

 private:
  friend struct ReturnToPool;
  void giveBack(std::byte* memory) noexcept NETCOW_EXCLUDES(mutex_);

  const std::size_t pieceBytes_;
  const std::size_t keep_;
  Mutex mutex_;
  std::vector<std::byte*> kept_ NETCOW_GUARDED_BY(mutex_);
};

/// The memory that requests of one mount live in. Thread-safe.
class RequestMemory {
 public:
  /// Room for the answer to a read.
  [[nodiscard]] PooledMemory forRead(std::size_t bytes);

  /// Where libfuse received requests lie; libfuse allocates them itself when it is given none.
  [[nodiscard]] MemoryPool& received() { return received_; }

  /// Bytes that live as long as `memory`.
  struct KeptBytes {
    PooledMemory memory;
    std::span<const std::byte> bytes;
  };
  /// Makes the payload of the request that the calling thread is processing outlive the callback,
  /// without a copy: takes the receive buffer away from the worker, which goes on with another.
  /// Once for a request.
  [[nodiscard]] KeptBytes keepPayload(std::span<const std::byte> payload);

  /// What the largest request can carry, in either direction.
  static constexpr std::size_t kLargestPayload = std::size_t{1} << 20U;

 private:
  static constexpr std::size_t kSmallRead = std::size_t{64} << 10U;

  MemoryPool smallReads_{kSmallRead, 64};
  MemoryPool largeReads_{kLargestPayload, 16};
  MemoryPool received_{kLargestPayload, 16};
};

/// Lends a receive buffer to the callback that runs on this thread; see keepPayload().
class LentBuffer {
 public:
  explicit LentBuffer(PooledMemory memory);
  ~LentBuffer();
  LentBuffer(const LentBuffer&) = delete;
  LentBuffer& operator=(const LentBuffer&) = delete;

  /// The buffer, unless a request kept it: then null.
  [[nodiscard]] PooledMemory takeBack() { return std::move(memory_); }

 private:
  friend class RequestMemory;
  PooledMemory memory_;
};

}  // namespace netcow
