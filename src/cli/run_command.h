// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "base/errors.h"

namespace netcow {

/// What is wrong with a command line, for its user.
std::string usageLine(const CLI::ParseError& error);

/// Parses the arguments of the command `app`, whose name is the one for messages, and runs it.
/// Every error becomes one line on standard error. Returns the exit status.
int runCommand(CLI::App& app, int argc, char** argv, const std::function<ExitStatus()>& command);

}  // namespace netcow
