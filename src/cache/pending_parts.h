// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <system_error>
#include <utility>

#include "base/errors.h"
#include "base/unique_function.h"

namespace netcow {

/// One read that waits for several parts. Its completion runs when the last holder of the shared
/// pointer lets go, with the first error that any part reported. Thread-safe.
class PendingParts {
 public:
  explicit PendingParts(Completion done) : done_(std::move(done)) {}
  ~PendingParts() { done_(errnoCode(error_.load())); }
  PendingParts(const PendingParts&) = delete;
  PendingParts& operator=(const PendingParts&) = delete;

  void report(const std::error_code& error) {
    int none = 0;
    error_.compare_exchange_strong(none, toErrno(error));
  }

 private:
  Completion done_;
  std::atomic<int> error_ = 0;
};

}  // namespace netcow
