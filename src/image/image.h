// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <system_error>

#include "base/unique_function.h"
#include "session/session.h"
#include "source/source.h"

namespace netcow {

/// The image a user sees: a session over a source, or a source alone (read-only).
///
/// Thread-safe. read() and write() never wait for the network: what needs the base ends later, on
/// a thread of the source. Everything else may wait for the local disk.
class Image {
 public:
  /// `base` and `session` (null: read-only) must outlive the image; the image must outlive every
  /// completion it owes: call Source::stop() first.
  Image(Source& base, Session* session);
  ~Image();
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  [[nodiscard]] bool writable() const;
  [[nodiscard]] std::uint64_t size() const;     ///< bytes
  [[nodiscard]] std::uint64_t maxSize() const;  ///< bytes; size() when read-only

  /// Fills `buffer` from `offset`; what lies behind size() reads as zeros (callers cut short
  /// reads themselves). `buffer` must stay valid until `done` ran.
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done);

  /// Around reads and writes that one thread asks for one right after the other; see Source.
  void beginBatch();
  void endBatch();

  /// Writes `bytes` at `offset`, growing the image when needed. EFBIG beyond maxSize(), EROFS
  /// when read-only. `bytes` must stay valid until `done` ran.
  void write(std::span<const std::byte> bytes, std::uint64_t offset, Completion done);

  /// Makes any range of bytes read as zeros, and gives the space of local blocks back. With
  /// `keepSize` what lies behind the end is left out, else the image grows to the end of the range
  /// when needed. EFBIG beyond maxSize(), EROFS when read-only. A large range is not zeroed at one
  /// moment, and takes its time in the calling thread.
  void zero(std::uint64_t offset, std::uint64_t length, bool keepSize, Completion done);

  /// Gives a range space on the disk, so that a later write there does not find it full; content
  /// stays. Without `keepSize` the image grows to the end of the range when needed. EFBIG beyond
  /// maxSize(), EROFS when read-only, EOPNOTSUPP where the file system cannot, ENOSPC.
  std::error_code reserve(std::uint64_t offset, std::uint64_t length, bool keepSize);

  struct Usage {
    std::uint64_t dataBytes = 0;  ///< what is no hole
    std::uint64_t freeBytes = 0;  ///< how much more may be written; 0 when read-only
  };
  /// Numbers for people: what changes meanwhile is counted or not.
  [[nodiscard]] Usage usage() const;

  /// As lseek does: the first byte at or behind `offset` that may be other than zero; ENXIO when
  /// there is none, or `offset` is at or behind the end.
  std::error_code findData(std::uint64_t offset, std::uint64_t& found);
  /// The first byte at or behind `offset` that lies in a hole, which the end of the image begins;
  /// ENXIO when `offset` is at or behind it.
  std::error_code findHole(std::uint64_t offset, std::uint64_t& found);

  /// Cuts or grows; what is new reads as zeros. EFBIG beyond maxSize(), EROFS when read-only.
  /// Cutting gives the space of what was cut off back, after a checkpoint.
  std::error_code resize(std::uint64_t size);

  /// Makes everything acknowledged so far survive a power cut.
  std::error_code flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace netcow
