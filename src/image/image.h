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

  /// Writes `bytes` at `offset`, growing the image when needed. EFBIG beyond maxSize(), EROFS
  /// when read-only. `bytes` must stay valid until `done` ran.
  void write(std::span<const std::byte> bytes, std::uint64_t offset, Completion done);

  /// Cuts or grows; what is new reads as zeros. EFBIG beyond maxSize(), EROFS when read-only.
  std::error_code resize(std::uint64_t size);

  /// Makes everything acknowledged so far survive a power cut.
  std::error_code flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace netcow
