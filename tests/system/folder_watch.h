// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "base/unique_fd.h"

namespace netcow::test {

/// Sees what happens to the files of a folder from its construction on.
class FolderWatch {
 public:
  explicit FolderWatch(const std::string& folder);

  /// Waits until files were opened, changed, made, removed or closed so many times. False if
  /// ended() held before; a failure of the test when neither comes.
  bool waitForEvents(std::size_t count, const std::function<bool()>& ended) const;

 private:
  std::size_t readEvents() const;

  UniqueFd fd_;
};

}  // namespace netcow::test
