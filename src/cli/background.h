// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/errors.h"
#include "base/unique_fd.h"

namespace netcow {

/// Takes a command to the background once it is ready: until then the terminal waits, sees every
/// error, and gets the exit status.
///
/// The process forks at once, before any thread starts; the parent waits in the constructor and
/// never returns from it. The child goes on and keeps the terminal's standard error until it is
/// ready. Not thread-safe.
class Background {
 public:
  /// With `wanted` false nothing is forked and ready() does nothing. Throws std::system_error.
  explicit Background(bool wanted);

  /// In the child: lets the parent exit with 0, and lets go of the terminal. Throws UserError when
  /// the parent is gone: who started the command does not expect it to be there.
  void ready();

 private:
  UniqueFd readyPipe_;
};

}  // namespace netcow
