// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include "session/session.h"

namespace netcow {

/// The body of one update: the bitfield of a cluster, then its local blocks in ascending order.
///
/// Nothing of the cluster is kept here: blocks are read from the session into the caller's
/// buffer as it asks for more. A block written meanwhile is sent in its old or its new content or
/// torn between; the change counter taken before tells that the cluster must be sent again.
/// Not thread-safe; `session` must outlive it.
class UploadBody {
 public:
  UploadBody(const Session& session, std::uint64_t cluster);
  UploadBody(const UploadBody&) = delete;
  UploadBody& operator=(const UploadBody&) = delete;

  /// Bytes from beginning to end; never changes.
  [[nodiscard]] std::uint64_t size() const;
  /// The change counter to acknowledge once this body has arrived.
  [[nodiscard]] std::uint64_t changes() const { return snapshot_.changes; }
  /// Why it must not be sent; see Session::Snapshot.
  [[nodiscard]] std::error_code notDurable() const { return snapshot_.notDurable; }

  /// Puts the next bytes into `buffer`; `used` is how many, 0 only at the end.
  std::error_code read(std::span<std::byte> buffer, std::size_t& used);
  /// Begins again at the first byte.
  void rewind();

 private:
  std::size_t readBitfield(std::span<std::byte> buffer);
  std::error_code readBlocks(std::span<std::byte> buffer, std::size_t& used);
  std::error_code readPartOfBlock(std::span<std::byte> buffer, std::size_t& used);

  const Session& session_;
  const std::uint64_t cluster_;
  const Session::Snapshot snapshot_;
  std::size_t bitfieldUsed_ = 0;             ///< bytes of the bitfield handed out
  std::uint64_t nextBlock_;                  ///< first block that was not read; set or the end
  std::array<std::byte, kBlockSize> split_;  ///< a block that did not fit a buffer whole
  std::size_t splitUsed_ = kBlockSize;       ///< bytes of it handed out
};

}  // namespace netcow
