// SPDX-License-Identifier: Apache-2.0
#include "mount/libfuse_messages.h"

#include <spdlog/spdlog.h>

#include <cstdarg>
#include <cstdio>
#include <exception>
#include <string_view>

#include "mount/fuse_api.h"

namespace netcow {
namespace {

// libfuse has one log function for the process and gives it no context, hence the thread's.
thread_local LibfuseMessages* collecting = nullptr;

spdlog::level::level_enum levelOf(fuse_log_level level) {
  if (level <= FUSE_LOG_ERR) {
    return spdlog::level::err;
  }
  if (level <= FUSE_LOG_NOTICE) {
    return spdlog::level::warn;
  }
  return level == FUSE_LOG_INFO ? spdlog::level::info : spdlog::level::debug;
}

std::string withoutLineEnd(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
    text.remove_suffix(1);
  }
  return std::string(text);
}

}  // namespace

struct LibfuseLog {
  static void take(fuse_log_level level, std::string_view message) {
    if (collecting == nullptr) {
      spdlog::log(levelOf(level), "{}", withoutLineEnd(message));
      return;
    }
    // libfuse says some lines in several calls.
    const bool ends = message.ends_with('\n');
    message.remove_suffix(ends ? 1 : 0);
    collecting->text_ += collecting->lineEnded_ ? "; " : "";
    collecting->text_ += message;
    collecting->lineEnded_ = ends;
  }
};

namespace {

__attribute__((format(printf, 2, 0))) void logFromLibfuse(fuse_log_level level, const char* format,
                                                          va_list arguments) {
  char line[1024];
  std::vsnprintf(line, sizeof line, format, arguments);
  try {
    LibfuseLog::take(level, line);
  } catch (const std::exception&) {
    std::fputs(line, stderr);  // no memory for a message
  }
}

}  // namespace

LibfuseMessages::LibfuseMessages() {
  fuse_set_log_func(logFromLibfuse);
  collecting = this;
}

LibfuseMessages::~LibfuseMessages() {
  collecting = nullptr;
}

}  // namespace netcow
