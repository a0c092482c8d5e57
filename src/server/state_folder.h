// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/unique_fd.h"

namespace netcow {

/// The folder in which a server keeps its uploads, held for one server as long as this object
/// lives.
class StateFolder {
 public:
  /// Makes the folder (mode 0700) when it is missing. Throws UserError when it cannot be used or
  /// another server holds it.
  explicit StateFolder(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  UniqueFd lock_;
};

}  // namespace netcow
