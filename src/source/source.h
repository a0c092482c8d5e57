// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/unique_function.h"
#include "format/image_name.h"

namespace netcow {

/// Where the base of a mount is read from: one image in one revision, which never changes.
/// All methods are thread-safe.
class Source {
 public:
  virtual ~Source() = default;

  /// The image as the source knows it; the revision is never 0 for a dnbd3 source.
  [[nodiscard]] virtual const ImageName& image() const = 0;

  /// Bytes; constant. A dnbd3 source always has a multiple of 4096, a file any size.
  [[nodiscard]] virtual std::uint64_t size() const = 0;

  /// Fills `buffer` with the bytes at `offset`; the range must lie within size().
  ///
  /// `done` is called exactly once, in the calling thread before read() returns or later on a
  /// thread of the source; `buffer` must stay valid until then. `done` must not block and must
  /// not destroy the source. A source that waits for a server to come back may take any time;
  /// stop() ends the wait.
  virtual void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) = 0;

  /// Says that what lies around this range, which is being read, is likely to be read as well. The
  /// range must lie within size(). A source may fetch some of it in advance, or do nothing; nobody
  /// is told. Does not block.
  virtual void willNeedNear(std::uint64_t offset, std::uint64_t length) {
    static_cast<void>(offset);
    static_cast<void>(length);
  }

  /// How long a small answer takes when nothing else is under way, nobody in between is busy, and
  /// all is awake: the shortest that was seen; nothing if none was.
  [[nodiscard]] virtual std::optional<std::chrono::steady_clock::duration> shortestRoundTrip()
      const {
    return std::nullopt;
  }

  /// More reads are about to come from this thread, one right after the other: they may be kept
  /// back, to be asked for together, until it calls endBatch(), which it must do soon and before it
  /// waits for anything. Reads of other threads are not kept back. The first endBatch() ends
  /// all that the thread began.
  virtual void beginBatch() {}
  virtual void endBatch() {}

  /// Answers every pending read with EIO, and every later one at once. After it returned no
  /// completion runs any more.
  virtual void stop() = 0;

  /// One line or more for people, each ended by a newline: where the data comes from, how the
  /// connection is.
  [[nodiscard]] virtual std::string statusText() const = 0;
};

}  // namespace netcow
