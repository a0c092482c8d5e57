// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/mutex.h"

namespace netcow {

/// Memory for what is read ahead, never more than a limit. Buffers of kLargest bytes are kept for
/// the next who wants one, until giveBack(). Thread-safe; must outlive its buffers.
class BufferPool {
 public:
  static constexpr std::size_t kLargest = std::size_t{256} << 10U;

  struct Return {
    BufferPool* pool = nullptr;
    std::size_t size = 0;
    void operator()(std::byte* memory) const { pool->put(memory, size); }
  };
  using Buffer = std::unique_ptr<std::byte[], Return>;

  explicit BufferPool(std::uint64_t limit) : limit_(limit) { kept_.reserve(kMostKept); }
  ~BufferPool() { giveBack(); }
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// `size` bytes of any content, at most kLargest; null when the limit does not allow them.
  [[nodiscard]] Buffer take(std::size_t size);

  /// Frees the buffers that nobody has.
  void giveBack();

  [[nodiscard]] std::uint64_t limit() const { return limit_; }  ///< bytes
  /// Bytes that are taken or kept.
  [[nodiscard]] std::uint64_t allocated() const;

 private:
  static constexpr std::size_t kMostKept = 256;
  void put(std::byte* memory, std::size_t size);

  const std::uint64_t limit_;
  mutable Mutex mutex_;
  std::vector<std::unique_ptr<std::byte[]>> kept_ NETCOW_GUARDED_BY(mutex_);
  std::uint64_t allocated_ NETCOW_GUARDED_BY(mutex_) = 0;
};

}  // namespace netcow
