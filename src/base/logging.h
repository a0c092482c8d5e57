// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace netcow {

/// Sets up the process's log (spdlog's default logger, thread-safe). Called once by a command
/// before any thread starts; parts log through spdlog::info() and its kin.
/// `file`: where lines go (appended); empty = standard error. `debug`: debug messages too.
/// Throws UserError when the file cannot be opened.
void setUpLogging(const std::string& file, bool debug);

}  // namespace netcow
