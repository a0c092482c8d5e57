// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <system_error>
#include <vector>

#include "base/mutex.h"
#include "base/pending_operation.h"
#include "image/block_fills.h"
#include "image/image.h"

namespace netcow {

/// A range that only the base can answer.
struct RemotePart {
  std::span<std::byte> buffer;
  std::uint64_t offset = 0;
};

/// What the parts of an image share: image_read.cpp, image_write.cpp, image_zero.cpp.
struct Image::State {
  State(Source& imageBase, Session* imageSession) : base(imageBase), session(imageSession) {}

  Source& base;
  Session* const session;
  SharedMutex sizeMutex;
  BlockFills fills;

  [[nodiscard]] std::uint64_t size() const {
    return session != nullptr ? session->imageSize() : base.size();
  }
  /// Bytes of the base still visible; a session never shows more than the base has.
  [[nodiscard]] std::uint64_t visibleBase() const {
    return session != nullptr ? std::min(session->validRemoteSize(), base.size()) : base.size();
  }

  std::error_code readLocal(std::span<std::byte> buffer, std::uint64_t offset,
                            std::vector<RemotePart>& remote) NETCOW_REQUIRES_SHARED(sizeMutex);
  void readNotLocal(std::span<std::byte> buffer, std::uint64_t offset,
                    std::vector<RemotePart>& remote) const;
  std::error_code growTo(std::uint64_t end) NETCOW_REQUIRES(sizeMutex);
  std::error_code growToAtLeast(std::uint64_t end);
  void releaseBehindEnd();
  std::error_code zeroBehindEnd(std::uint64_t end) NETCOW_REQUIRES(sizeMutex);
  /// Fills to be started once the size lock is released.
  using Fills = std::array<std::shared_ptr<BlockFill>, 2>;
  /// One write on its way.
  struct Write {
    std::span<const std::byte> bytes;
    std::uint64_t offset;
    Completion done;                              ///< unless it became part of `operation`
    std::shared_ptr<PendingOperation> operation;  ///< if it has to wait for a fill
    Fills newFills;
  };
  std::error_code beginWrite(Write& write) NETCOW_REQUIRES_SHARED(sizeMutex);
  std::error_code beginGrowingWrite(Write& write) NETCOW_REQUIRES(sizeMutex);
  std::error_code zeroInside(std::uint64_t begin, std::uint64_t end,
                             const std::shared_ptr<PendingOperation>& operation);
  std::error_code zeroPart(std::uint64_t begin, std::uint64_t end,
                           const std::shared_ptr<PendingOperation>& operation, Fills& newFills)
      NETCOW_REQUIRES_SHARED(sizeMutex);
  std::error_code zeroPartOfBlock(std::uint64_t begin, std::uint64_t end,
                                  const std::shared_ptr<PendingOperation>& operation,
                                  std::shared_ptr<BlockFill>& newFill)
      NETCOW_REQUIRES_SHARED(sizeMutex);
  void startFills(Fills& newFills);
  void startFill(std::shared_ptr<BlockFill> fill);
  void hintNeighbours(std::uint64_t block);
  void finishFill(BlockFill& fill, const std::error_code& readError);
  std::error_code storeFill(BlockFill& fill, const std::vector<PartialWrite>& writes)
      NETCOW_REQUIRES_SHARED(sizeMutex);
};

}  // namespace netcow
