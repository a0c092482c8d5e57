// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace netcow {

/// Where an upload service lives, as -C names it: `http://host[:port][/path]`, https too. The
/// scheme may be missing (http then), slashes at the end mean nothing.
class UploadPrefix {
 public:
  /// Throws UserError (ExitStatus::usage) for anything a request cannot be sent to.
  explicit UploadPrefix(const std::string& given);

  /// The address of one call of the API, named as in "create": PREFIX/v1/file/create.
  [[nodiscard]] std::string url(std::string_view call) const;
  /// For messages: without user name and password.
  [[nodiscard]] const std::string& shown() const { return shown_; }

 private:
  std::string base_;  // no slash at the end
  std::string shown_;
};

/// Throws UserError (ExitStatus::usage) unless `uuid` can name an upload: 1 to 36 characters, all
/// of them printable ASCII other than blanks.
void checkUploadUuid(const std::string& uuid);

/// The same as a question.
bool isUploadUuid(std::string_view uuid);

}  // namespace netcow
