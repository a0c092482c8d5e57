// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "base/errors.h"
#include "base/unique_fd.h"

namespace netcow {

/// Ends another thread's poll(). Thread-safe.
class WakeUp {
 public:
  /// Throws std::system_error.
  WakeUp() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!fd_) {
      throwErrno("cannot make an eventfd");
    }
  }
  /// To poll for POLLIN.
  [[nodiscard]] int fd() const { return fd_.get(); }
  void signal() {
    const std::uint64_t one = 1;
    // Fails only when 2^64 - 2 signals are waiting; then poll() returns anyway.
    static_cast<void>(::write(fd_.get(), &one, sizeof one) == sizeof one);
  }
  /// Forgets the signals so far.
  void clear() {
    std::uint64_t ignored = 0;
    // Fails when there was none, which is as good.
    static_cast<void>(::read(fd_.get(), &ignored, sizeof ignored) == sizeof ignored);
  }

 private:
  UniqueFd fd_;
};

}  // namespace netcow
