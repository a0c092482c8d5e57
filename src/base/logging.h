// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spdlog/spdlog.h>

#include <memory>
#include <string>
#include <vector>

#include "base/terminal_line.h"

namespace netcow {

struct LogOptions {
  std::string file;                     ///< lines are appended to it; empty = standard error
  std::string level = "info";           ///< the least that is logged: one of logLevels()
  std::shared_ptr<TerminalLine> below;  ///< the line on standard error that the log goes above
};

/// debug, info, warning, error.
const std::vector<std::string>& logLevels();

/// Sets up the process's log (spdlog's default logger, thread-safe). Called once by a command
/// before any thread starts; parts log through spdlog::info() and its kin. Lines for systemd's
/// journal begin with their priority, others with their level, in a file with the time.
/// Throws UserError when the file cannot be opened, or there is no such level.
void setUpLogging(const LogOptions& options);

/// The same with a choice of levels: `debug`, or all but these.
void setUpLogging(const std::string& file, bool debug);

}  // namespace netcow
