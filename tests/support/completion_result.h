// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_function.h"

namespace netcow::test {

/// How an asynchronous operation ended: its completion must run exactly once. For tests with one
/// thread; must outlive the operation.
struct CompletionResult {
  int calls = 0;
  int error = 0;  ///< errno value
  Completion completion() {
    return [this](const std::error_code& code) {
      ++calls;
      error = code.value();
    };
  }
};

}  // namespace netcow::test
