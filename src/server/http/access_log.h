// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "server/http/http_exchange.h"

namespace netcow {

/// What of a target may be kept: its path and the parameters that are no secret. Of a uuid only the
/// beginning is left (who knows one may write to its upload), of any other parameter the name.
std::string withoutSecrets(const std::string& target);

/// The line for one exchange: JSON without a newline. `time`: as in ISO 8601, UTC.
std::string accessLogLine(const HttpExchange& exchange, const std::string& time);

/// Writes one line for each request. Thread-safe.
class AccessLog {
 public:
  /// `path`: where lines are appended; "-" = the program's log; empty = nowhere. Throws UserError.
  explicit AccessLog(const std::string& path) { reopen(path); }

  void write(const HttpExchange& exchange);

  /// Goes on in another file, or in a new one of the same name. Throws UserError, and then goes on
  /// in the old one.
  void reopen(const std::string& path);

 private:
  Mutex mutex_;
  bool toLog_ NETCOW_GUARDED_BY(mutex_) = false;
  bool complained_ NETCOW_GUARDED_BY(mutex_) = false;
  UniqueFd file_ NETCOW_GUARDED_BY(mutex_);
};

}  // namespace netcow
