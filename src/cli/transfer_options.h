// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "upload/upload_prefix.h"
#include "upload/uploader.h"

namespace CLI {
class App;
}

namespace netcow {

/// How changes travel to the upload server, as every command takes it that uploads. Empty: not
/// given. Paths are absolute once parse() has run.
struct TransferOptions {
  std::string uploadUuid;  ///< the upload to use
  bool newUpload = false;  ///< begin another upload for an old session
  std::optional<std::size_t> parallel;
  std::optional<std::uint64_t> bytesPerSecond;
  std::optional<std::chrono::milliseconds> timeout;  ///< of all that follows the unmount
  std::string tokenFile;
  std::string caFile;

  /// Adds the options to a command's.
  void addTo(CLI::App& app, const std::string& group);
  /// Adds only those that say who asks whom.
  void addAccessTo(CLI::App& app, const std::string& group);
  /// Understands what was given. Throws UserError (ExitStatus::usage).
  void parse();
  /// Whether anything was given that needs an upload server.
  [[nodiscard]] bool any() const;

  /// Reads the files. Throws UserError.
  [[nodiscard]] UploadAccess access() const;
  void applyTo(UploadRules& rules) const;

 private:
  std::string rate_;
  double timeoutSeconds_ = 0;
};

/// Warns in the log when a token would cross the network for everybody to read.
void warnOfPlainToken(const TransferOptions& options, const UploadPrefix& prefix);

}  // namespace netcow
