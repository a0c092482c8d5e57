// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/mutex.h"

namespace netcow {

/// One line at the foot of a terminal that changes as work goes on, and what is logged above it. No
/// line of one is ever mixed with the other. Thread-safe.
class TerminalLine {
 public:
  /// `fd` must stay open: standard error, as a rule.
  explicit TerminalLine(int fd) : fd_(fd) {}
  TerminalLine(const TerminalLine&) = delete;
  TerminalLine& operator=(const TerminalLine&) = delete;

  /// Whether there is a terminal now: who goes to the background lets go of it.
  [[nodiscard]] bool isTerminal() const;
  /// Columns that a line may take now; terminals change their size.
  [[nodiscard]] std::size_t width() const;

  /// Puts `text` in place of the line, cut to the width. On a terminal that was stopped (Ctrl-S)
  /// nothing happens: work does not wait for it. Nor does anything without a terminal.
  void show(const std::string& text);
  /// Takes the line away.
  void clear() { show({}); }
  /// Writes whole lines above it, also without a terminal. Failures are ignored.
  void writeAbove(std::string_view lines);

 private:
  void write(std::string_view text) NETCOW_REQUIRES(mutex_);

  const int fd_;
  Mutex mutex_;
  std::string shown_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow
