// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace netcow {

/// A file in a session's folder that tells how uploads go on. Not thread-safe. Progress is no
/// reason to end an upload: failures are logged.
class StatusFile {
 public:
  /// `status` when a user asks for it, with the link status.txt by which very old programs know it.
  static StatusFile status(const std::string& directory);
  /// `progress`, which `netcow status` reads when there is no `status`.
  static StatusFile progress(const std::string& directory);

  /// Replaces the text, so that a reader sees the old or the new one. `durable`: it also survives
  /// a power cut.
  void write(std::string_view text, bool durable = false);

 private:
  explicit StatusFile(std::string path) : path_(std::move(path)) {}

  std::string path_;
  bool complained_ = false;  // one line in the log, not one every five seconds
};

}  // namespace netcow
