// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spdlog/details/file_helper.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/types.h>

#include <memory>
#include <mutex>
#include <string>

#include "base/terminal_line.h"

// Where log lines go. All are thread-safe, as spdlog's own sinks are.
namespace netcow {

/// Standard error, above the line that shows progress there.
class TerminalSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit TerminalSink(std::shared_ptr<TerminalLine> terminal) : terminal_(std::move(terminal)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

 private:
  const std::shared_ptr<TerminalLine> terminal_;
};

/// Standard error that systemd's journal reads: each line begins with its priority (sd-daemon(3)).
class JournalSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit JournalSink(int fd) : terminal_(fd) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

 private:
  TerminalLine terminal_;  // for its write
};

/// A file, which is opened anew when it was renamed or removed: whoever rotates logs need not tell
/// us, which signals could not do anyway (a mount ignores SIGHUP).
class LogFileSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  /// Throws spdlog::spdlog_ex when it cannot be opened.
  explicit LogFileSink(std::string path);

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override { file_->flush(); }

 private:
  void open();
  [[nodiscard]] bool wasReplaced() const;

  const std::string path_;
  std::unique_ptr<spdlog::details::file_helper> file_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

/// Whether `fd` leads to systemd's journal, as JOURNAL_STREAM tells (systemd.exec(5)).
bool isJournal(int fd);

}  // namespace netcow
