// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "base/pending_operation.h"
#include "source/prefetch/buffer_pool.h"
#include "source/prefetch/link_estimate.h"
#include "source/prefetch/neighbour_credit.h"

namespace netcow {

/// A range of the image that was asked for ahead, at most BufferPool::kLargest bytes. First it is
/// under way: only the source writes `memory`, and readers who want some of it wait here. Once it
/// has arrived, `memory` never changes. Who copies from it holds the pointer and needs no lock;
/// everything else is guarded by the lock of the PrefetchSource.
struct Extent {
  /// A part of a read that waits for this extent.
  struct Waiting {
    std::span<std::byte> buffer;
    std::uint64_t offset = 0;
    std::shared_ptr<PendingOperation> operation;
  };

  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  BufferPool::Buffer memory;
  std::uint64_t stream = 0;           ///< id of the stream it was asked for; 0: none
  NeighbourCredit* credit = nullptr;  ///< if it is a neighbour of what was read: what paid for it
  LinkEstimate::Sending sending;
  bool hasArrived = false;
  std::uint64_t bytesRead = 0;  ///< that readers took or wait for
  std::uint64_t lastUse = 0;    ///< as the PrefetchCache counts
  std::vector<Waiting> waiting;
  std::list<std::shared_ptr<Extent>>::iterator place;  ///< in order of use, once it has arrived

  [[nodiscard]] std::uint64_t end() const { return offset + size; }
  [[nodiscard]] std::span<std::byte> bytes() { return {memory.get(), size}; }
  /// What a reader wants of it.
  [[nodiscard]] std::span<const std::byte> bytes(std::uint64_t from, std::uint64_t length) const {
    return {memory.get() + (from - offset), length};
  }
};

using ExtentPointer = std::shared_ptr<Extent>;

}  // namespace netcow
