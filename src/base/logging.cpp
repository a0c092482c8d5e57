// SPDX-License-Identifier: Apache-2.0
#include "base/logging.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <memory>

#include "base/errors.h"

namespace netcow {

void setUpLogging(const std::string& file, bool debug) {
  std::shared_ptr<spdlog::logger> logger;
  if (file.empty()) {
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    logger = std::make_shared<spdlog::logger>("netcow", std::move(sink));
    logger->set_pattern("netcow: %^%l%$: %v");
  } else {
    try {
      auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
      logger = std::make_shared<spdlog::logger>("netcow", std::move(sink));
    } catch (const spdlog::spdlog_ex& error) {
      throw UserError("cannot write the log file " + file + ": " + error.what() +
                      "; name another with -l");
    }
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
  }
  logger->set_level(debug ? spdlog::level::debug : spdlog::level::info);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace netcow
