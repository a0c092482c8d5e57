// SPDX-License-Identifier: Apache-2.0
#include "base/log_sinks.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace netcow {
namespace {

/// syslog(3)'s.
int priorityOf(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
      return 2;
    case spdlog::level::err:
      return 3;
    case spdlog::level::warn:
      return 4;
    case spdlog::level::info:
      return 6;
    default:
      return 7;
  }
}

}  // namespace

void TerminalSink::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t text;
  formatter_->format(message, text);
  terminal_->writeAbove({text.data(), text.size()});
}

void JournalSink::sink_it_(const spdlog::details::log_msg& message) {
  const std::string prefix = "<" + std::to_string(priorityOf(message.level)) + ">";
  std::string_view rest(message.payload.data(), message.payload.size());
  std::string text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.empty()) {
      text.append(prefix).append(line).append("\n");
    }
  }
  terminal_.writeAbove(text);
}

LogFileSink::LogFileSink(std::string path) : path_(std::move(path)) {
  open();
}

void LogFileSink::open() {
  auto file = std::make_unique<spdlog::details::file_helper>();
  file->open(path_);
  file_ = std::move(file);
  struct stat status = {};
  if (::stat(path_.c_str(), &status) == 0) {
    device_ = status.st_dev;
    inode_ = status.st_ino;
  }
}

bool LogFileSink::wasReplaced() const {
  struct stat status = {};
  return ::stat(path_.c_str(), &status) != 0 || status.st_dev != device_ || status.st_ino != inode_;
}

void LogFileSink::sink_it_(const spdlog::details::log_msg& message) {
  if (wasReplaced()) {
    try {
      open();
    } catch (const spdlog::spdlog_ex&) {
      // Its folder is gone, or may not be written any more: the old file is better than none.
    }
  }
  spdlog::memory_buf_t text;
  formatter_->format(message, text);
  file_->write(text);
}

bool isJournal(int fd) {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat status = {};
  return stream != nullptr && ::fstat(fd, &status) == 0 &&
         std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) == stream;
}

}  // namespace netcow
