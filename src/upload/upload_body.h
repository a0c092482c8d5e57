// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <system_error>

#include "base/keyed_hash.h"
#include "session/session.h"
#include "upload/cluster_update.h"

namespace netcow {

/// The body of one update: its bitfield, then the blocks it carries in ascending order.
///
/// Nothing of the cluster is kept here: blocks are read from the session into the caller's
/// buffer as it asks for more. A block written meanwhile is sent in its old or its new content or
/// torn between; the change counter taken before tells that the cluster must be sent again.
/// Not thread-safe; `session` must outlive it.
class UploadBody {
 public:
  /// `hashKey`: what takeDigest() goes by, null where nobody will ask.
  UploadBody(const Session& session, const ClusterUpdate& update, const HashKey* hashKey);
  UploadBody(const UploadBody&) = delete;
  UploadBody& operator=(const UploadBody&) = delete;

  /// Bytes from beginning to end; never changes.
  [[nodiscard]] std::uint64_t size() const { return update_.size(); }
  [[nodiscard]] const ClusterUpdate& update() const { return update_; }

  /// Puts the next bytes into `buffer`; `used` is how many, 0 only at the end.
  std::error_code read(std::span<std::byte> buffer, std::size_t& used);
  /// Begins again at the first byte.
  void rewind();
  /// The digest of just the bytes that were handed out since it last began; nothing without a key,
  /// or if it was not read to the end. To be asked once.
  [[nodiscard]] std::optional<KeyedDigest> takeDigest();

 private:
  std::error_code readUnhashed(std::span<std::byte> buffer, std::size_t& used);
  std::size_t readBitfield(std::span<std::byte> buffer);
  std::error_code readBlocks(std::span<std::byte> buffer, std::size_t& used);
  std::error_code readPartOfBlock(std::span<std::byte> buffer, std::size_t& used);

  const Session& session_;
  const ClusterUpdate update_;
  std::size_t bitfieldUsed_ = 0;             ///< bytes of the bitfield handed out
  std::uint64_t nextBlock_;                  ///< first block that was not read; set or the end
  std::array<std::byte, kBlockSize> split_;  ///< a block that did not fit a buffer whole
  std::size_t splitUsed_ = kBlockSize;       ///< bytes of it handed out
  std::optional<KeyedHash> hash_;
  std::uint64_t hashed_ = 0;  ///< bytes
};

}  // namespace netcow
