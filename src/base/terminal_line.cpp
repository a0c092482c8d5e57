// SPDX-License-Identifier: Apache-2.0
#include "base/terminal_line.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace netcow {
namespace {

constexpr std::string_view kEraseLine = "\r\033[K";
constexpr std::size_t kUsualWidth = 80;

}  // namespace

bool TerminalLine::isTerminal() const {
  return ::isatty(fd_) == 1;
}

std::size_t TerminalLine::width() const {
  winsize size = {};
  const bool known = ::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col != 0;
  return (known ? size.ws_col : kUsualWidth) - 1;  // the last column would wrap
}

void TerminalLine::show(const std::string& text) {
  const MutexLock lock(mutex_);
  pollfd terminal = {fd_, POLLOUT, 0};
  const bool takesMore = ::poll(&terminal, 1, 0) == 1 && (terminal.revents & POLLOUT) != 0;
  if ((text.empty() && shown_.empty()) || !isTerminal() || !takesMore) {
    return;
  }
  shown_ = text.substr(0, width());
  write(std::string(kEraseLine) + shown_);
}

void TerminalLine::writeAbove(std::string_view lines) {
  const MutexLock lock(mutex_);
  if (shown_.empty()) {
    write(lines);
  } else {
    write(std::string(kEraseLine).append(lines).append(shown_));
  }
}

void TerminalLine::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd_, text.data(), text.size());
    if (written < 0 && errno != EINTR) {
      return;
    }
    text.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
  }
}

}  // namespace netcow
