// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "merge/file_copy.h"
#include "session/session.h"

namespace netcow {

/// How many local blocks came into the new file, and in which way.
struct OverlayBlocks {
  std::uint64_t shared = 0;  ///< share their space with the session's `data`
  std::uint64_t copied = 0;
  std::uint64_t zeros = 0;  ///< became holes

  [[nodiscard]] std::uint64_t all() const { return shared + copied + zeros; }
};

/// Lays the local blocks of a session on top of a file. Where session and file lie on one file
/// system that can share, blocks are shared out of `data`, run by run; else they are copied. Holes
/// in `data`, and zeros among what is copied, become holes. Not thread-safe.
class Overlay {
 public:
  /// `session` and `output` must outlive it; `session` must not change meanwhile. `fileSize`: bytes
  /// of the output, which has this size already.
  Overlay(const Session& session, const NamedFd& output, std::uint64_t fileSize);

  /// Lays one cluster's local blocks on top, as far as they lie below the end of the file, and
  /// returns how many. Throws std::system_error.
  std::uint64_t lay(const ClusterInfo& cluster);

  /// Of all clusters so far.
  [[nodiscard]] const OverlayBlocks& blocks() const { return blocks_; }

 private:
  /// Neighbouring local blocks: where they lie in `data` and in the file. They may reach beyond
  /// the end of the file, by less than a block.
  struct Run {
    std::uint64_t place = 0;   ///< bytes, in `data`
    std::uint64_t offset = 0;  ///< bytes, in the file
    std::uint64_t length = 0;  ///< bytes, whole blocks
  };
  void layRun(const Run& run);
  void layContent(const Run& run);
  bool share(const Run& run);
  void copy(const Run& run);
  void punch(std::uint64_t offset, std::uint64_t length);
  void write(std::span<const std::byte> content, std::uint64_t offset) const;
  /// How much of a run lies in the file.
  [[nodiscard]] std::uint64_t lengthInFile(const Run& run) const;

  const Session& session_;
  const NamedFd& output_;
  const std::uint64_t fileSize_;
  const UniqueFd dataFd_;
  const NamedFd data_;
  bool canShare_;
  OverlayBlocks blocks_;
  std::vector<std::byte> buffer_;
};

}  // namespace netcow
