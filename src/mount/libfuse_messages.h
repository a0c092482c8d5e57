// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace netcow {

/// While in scope, what libfuse says on this thread is collected instead of printed, so that an
/// error can give its reason. Everything else libfuse says goes to the log.
class LibfuseMessages {
 public:
  LibfuseMessages();
  ~LibfuseMessages();
  LibfuseMessages(const LibfuseMessages&) = delete;
  LibfuseMessages& operator=(const LibfuseMessages&) = delete;

  /// Joined to one line; empty if it said nothing.
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  friend struct LibfuseLog;
  std::string text_;
  bool lineEnded_ = false;  ///< what comes next begins a new line
};

}  // namespace netcow
