// SPDX-License-Identifier: Apache-2.0
#include "base/service_manager.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdint>
#include <ctime>

namespace netcow {
namespace {

/// A service manager that cannot be told is no reason to end: errors are ignored, as sd_notify(3)
/// recommends.
void tell(const std::string& message) {
  static_cast<void>(::sd_notify(/*unset_environment=*/0, message.c_str()));
}

/// As RELOADING=1 wants it.
std::string monotonicMicroseconds() {
  timespec now = {};
  static_cast<void>(::clock_gettime(CLOCK_MONOTONIC, &now));
  return std::to_string(std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000);
}

}  // namespace

void notifyReady() {
  tell("READY=1");
}

void notifyReloading() {
  tell("RELOADING=1\nMONOTONIC_USEC=" + monotonicMicroseconds());
}

void notifyStatus(const std::string& line) {
  std::string text = line;
  std::replace(text.begin(), text.end(), '\n', ' ');  // the next line would be another message
  tell("STATUS=" + text);
}

void notifyStopping() {
  tell("STOPPING=1");
}

void extendTimeout(std::chrono::microseconds time) {
  tell("EXTEND_TIMEOUT_USEC=" + std::to_string(time.count()));
}

}  // namespace netcow
