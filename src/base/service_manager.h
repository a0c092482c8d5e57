// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

// What a service tells systemd (sd_notify(3)) when it runs under Type=notify. Without a service
// manager none of these does anything. Thread-safe as long as nobody changes the environment.
namespace netcow {

/// The service does its work from now on: units ordered behind it may start.
void notifyReady();

/// SIGHUP was taken and the configuration is being read again; notifyReady() ends that.
void notifyReloading();

/// One line for `systemctl status`.
void notifyStatus(const std::string& line);

/// The service is ending by itself; how long that may take is the unit's TimeoutStopSec=.
void notifyStopping();

/// Starting, or ending, goes on and gets somewhere: it is not killed for the next `time`, whatever
/// the unit says. To be repeated before that is over.
void extendTimeout(std::chrono::microseconds time);

}  // namespace netcow
