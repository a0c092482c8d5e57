// SPDX-License-Identifier: Apache-2.0
#include "system/folder_watch.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/inotify.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <stdexcept>

namespace netcow::test {

FolderWatch::FolderWatch(const std::string& folder)
    : fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  constexpr std::uint32_t kEvents =
      IN_OPEN | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_CLOSE_WRITE;
  if (!fd_ || ::inotify_add_watch(fd_.get(), folder.c_str(), kEvents) < 0) {
    throw std::runtime_error("cannot watch " + folder + ": " + std::strerror(errno));
  }
}

bool FolderWatch::waitForEvents(std::size_t count, const std::function<bool()>& ended) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(90);
  std::size_t seen = 0;
  while (seen < count) {
    pollfd poll = {fd_.get(), POLLIN, 0};
    if (::poll(&poll, 1, 5) > 0) {
      seen += readEvents();
    } else if (ended()) {
      return false;
    } else if (std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << "only " << seen << " of " << count << " events came";
      return false;
    }
  }
  return true;
}

/// One or a few: who waits for the n-th wants to be told soon.
std::size_t FolderWatch::readEvents() const {
  alignas(inotify_event) std::array<char, sizeof(inotify_event) + NAME_MAX + 1> buffer{};
  const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
  std::size_t events = 0;
  for (std::size_t at = 0; got > 0 && at < static_cast<std::size_t>(got); ++events) {
    inotify_event event{};
    std::memcpy(&event, buffer.data() + at, sizeof event);
    at += sizeof event + event.len;
  }
  return events;
}

}  // namespace netcow::test
