// SPDX-License-Identifier: Apache-2.0
#include "base/logging.h"

#include <unistd.h>

#include <algorithm>

#include "base/errors.h"
#include "base/log_sinks.h"

namespace netcow {
namespace {

spdlog::sink_ptr fileSink(const std::string& file) {
  try {
    auto sink = std::make_shared<LogFileSink>(file);
    sink->set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
    return sink;
  } catch (const spdlog::spdlog_ex& error) {
    throw UserError("cannot write the log file " + file + ": " + error.what() +
                    "; name another with -l");
  }
}

spdlog::sink_ptr standardErrorSink(std::shared_ptr<TerminalLine> below) {
  if (isJournal(STDERR_FILENO)) {
    return std::make_shared<JournalSink>(STDERR_FILENO);
  }
  if (!below) {
    below = std::make_shared<TerminalLine>(STDERR_FILENO);
  }
  auto sink = std::make_shared<TerminalSink>(std::move(below));
  sink->set_pattern("netcow: %^%l%$: %v");
  return sink;
}

}  // namespace

const std::vector<std::string>& logLevels() {
  static const std::vector<std::string> levels = {"debug", "info", "warning", "error"};
  return levels;
}

void setUpLogging(const LogOptions& options) {
  const auto& levels = logLevels();
  if (std::find(levels.begin(), levels.end(), options.level) == levels.end()) {
    throw UserError(
        "there is no log level '" + options.level + "'; it is debug, info, warning or error",
        ExitStatus::usage);
  }
  auto logger = std::make_shared<spdlog::logger>(
      "netcow", options.file.empty() ? standardErrorSink(options.below) : fileSink(options.file));
  logger->set_level(spdlog::level::from_str(options.level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

void setUpLogging(const std::string& file, bool debug) {
  LogOptions options;
  options.file = file;
  options.level = debug ? "debug" : "info";
  setUpLogging(options);
}

}  // namespace netcow
