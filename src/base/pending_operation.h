// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <system_error>

#include "base/errors.h"
#include "base/unique_function.h"

namespace netcow {

/// One read or write that waits for several parts. The completion runs when the last holder of the
/// shared pointer lets go, with the first error that any part reported. Thread-safe.
class PendingOperation {
 public:
  explicit PendingOperation(Completion done) : done_(std::move(done)) {}
  ~PendingOperation() { done_(errnoCode(error_.load())); }
  PendingOperation(const PendingOperation&) = delete;
  PendingOperation& operator=(const PendingOperation&) = delete;

  void report(const std::error_code& error) {
    int none = 0;
    error_.compare_exchange_strong(none, toErrno(error));
  }

 private:
  Completion done_;
  std::atomic<int> error_ = 0;
};

}  // namespace netcow
