// SPDX-License-Identifier: Apache-2.0
#include "server/http/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/logging.h"
#include "server/http/form.h"
#include "server/http/request_path.h"

namespace netcow {
namespace {

constexpr std::array<std::string_view, 2> kPublicParameters = {"clusterindex", "amount"};
constexpr std::size_t kUuidShown = 8;

std::string isoTime() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = milliseconds / 1000;
  std::tm parts = {};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text = {};
  std::strftime(text.data(), text.size(), "%FT%T", &parts);
  return fmt::format("{}.{:03}Z", text.data(), milliseconds % 1000);
}

}  // namespace

std::string withoutSecrets(const std::string& target) {
  std::string shown = canonicalPath(target).value_or("?");
  const auto form = Form::parse(queryOf(target));
  if (!form) {
    return shown + "??";
  }
  char separator = '?';
  for (const auto& [name, value] : form->fields()) {
    shown += separator + name;
    separator = '&';
    if (name == "uuid") {
      shown += "=" + value.substr(0, kUuidShown) + "...";
    } else if (std::ranges::count(kPublicParameters, name) > 0) {
      shown += "=" + value;
    }
  }
  return shown;
}

std::string accessLogLine(const HttpExchange& exchange, const std::string& time) {
  const nlohmann::ordered_json line = {
      {"time", time},
      {"client", exchange.client},
      {"token", exchange.caller},
      {"method", exchange.method},
      {"path", withoutSecrets(exchange.target)},
      {"status", exchange.status},
      {"bytesReceived", exchange.bytesReceived},
      {"bytesSent", exchange.bytesSent},
      {"seconds", static_cast<double>(exchange.took.count()) / 1000},
  };
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void AccessLog::write(const HttpExchange& exchange) {
  const MutexLock lock(mutex_);
  if (toLog_) {
    spdlog::info("{}", accessLogLine(exchange, isoTime()));
  } else if (file_) {
    const std::string line = accessLogLine(exchange, isoTime()) + "\n";
    const bool written =
        ::write(file_.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size());
    if (!written && !complained_) {
      spdlog::error("cannot write the access log: {}; requests go on without it",
                    std::strerror(errno));
    }
    complained_ = !written;
  }
}

void AccessLog::reopen(const std::string& path) {
  UniqueFd file;
  if (!path.empty() && path != "-") {
    file.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    if (!file) {
      throw UserError("cannot write the access log " + path + ": " + std::strerror(errno) +
                      "; name another with --access-log");
    }
  }
  const MutexLock lock(mutex_);
  toLog_ = path == "-";
  file_ = std::move(file);
}

}  // namespace netcow
