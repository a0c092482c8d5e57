// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"

namespace netcow {

/// Says in the log that the upload server is away, and when it is back, in a few lines however many
/// uploads fail: one when they begin to fail, one after a minute, and then ever more seldom, down
/// to every half an hour; one when an upload arrives again. A server that comes and goes is told of
/// as seldom. The rest is there for those who log everything (debug). Not thread-safe.
class OutageLog {
 public:
  enum class Line { away, stillAway, back, detail };
  using Sink = std::function<void(Line, const std::string& text)>;

  /// `server`: its name, as people may see it. Without a `sink` the lines go to the log.
  OutageLog(std::string server, const Clock& clock, Sink sink = {});

  /// Something was asked in vain; `clusters` are not uploaded.
  void failed(const std::string& problem, std::uint64_t clusters);
  /// Something was taken.
  void succeeded(std::uint64_t clusters);

 private:
  void tellAgainAfter(std::chrono::minutes interval);

  const std::string server_;
  const Clock& clock_;
  const Sink sink_;
  bool away_ = false;
  Clock::Time since_;  ///< it is away
  std::chrono::minutes interval_{0};
  Clock::Time next_;  ///< nothing but `back` is said before this
};

}  // namespace netcow
