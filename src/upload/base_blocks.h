// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "source/source.h"

namespace netcow {

/// The base of an image, to be compared with what is to be uploaded. It must never hold up an
/// upload, so it is a source of its own that gives up soon; whatever it cannot read counts as
/// different. Not thread-safe.
class BaseBlocks {
 public:
  struct Options {
    /// Opens the base, soon or not at all: then it throws, or returns null. A read of it must end
    /// soon, too. Runs when the base is needed first.
    std::function<std::unique_ptr<Source>()> open;
    ImageName image;         ///< which it must be
    std::uint64_t size = 0;  ///< and how many bytes it must have
    bool isNear = false;     ///< reading costs next to nothing: a file of this machine
  };
  explicit BaseBlocks(Options options, const Clock& clock = Clock::system());
  ~BaseBlocks();
  BaseBlocks(const BaseBlocks&) = delete;
  BaseBlocks& operator=(const BaseBlocks&) = delete;

  /// A part of the base that is wanted.
  struct Part {
    std::span<std::byte> buffer;
    std::uint64_t offset = 0;
    bool read = false;  ///< set by read()
  };
  /// Reads all parts side by side and waits for them. After a failure nothing is tried for a while.
  void read(std::span<Part> parts);

  [[nodiscard]] bool isNear() const { return options_.isNear; }
  /// Lets go of a source that was not read for a while.
  void rest();

 private:
  bool ensureOpen();
  void giveUp(const std::string& why);

  const Options options_;
  const Clock& clock_;
  std::unique_ptr<Source> source_;
  Clock::Time lastRead_;
  std::optional<Clock::Time> offUntil_;
};

}  // namespace netcow
