// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <system_error>

namespace netcow {

/// What a netcow command returns to the shell; scripts depend on the numbers.
enum class ExitStatus : int {
  done = 0,         ///< all done: uploaded, and merged if asked
  failed = 1,       ///< the command did not do its work
  usage = 2,        ///< wrong options
  notUploaded = 3,  ///< changes are safe in the session, but not all are uploaded
  notMerged = 4,    ///< uploaded, but not merged
};

/// Something the user can mend. what() is one whole line that says what, where, why and what to
/// do next; the command prints it and ends with `status`.
class UserError : public std::runtime_error {
 public:
  explicit UserError(const std::string& line, ExitStatus status = ExitStatus::failed)
      : std::runtime_error(line), status_(status) {}
  [[nodiscard]] ExitStatus status() const { return status_; }

 private:
  ExitStatus status_;
};

/// An errno value as the error code that completions carry. 0 is success.
inline std::error_code errnoCode(int error) {
  return {error, std::generic_category()};
}

/// The errno value of a code made by errnoCode; EIO for any other kind of error, 0 for success.
int toErrno(const std::error_code& error);

/// Throws std::system_error for `error` (an errno value) with `context`, which names the thing
/// and the operation, e.g. "cannot open /srv/a.r1".
[[noreturn]] void throwErrno(int error, const std::string& context);

/// throwErrno for the current errno.
[[noreturn]] void throwErrno(const std::string& context);

}  // namespace netcow
