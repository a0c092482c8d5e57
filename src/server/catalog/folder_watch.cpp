// SPDX-License-Identifier: Apache-2.0
//
// Whenever folders come, go or move, the whole tree is gone through again: no book of names has to
// be kept right, and it costs what one look at the folders costs. A folder is watched before it is
// looked into, so what comes into it is either found by that look or told by an event. A change is
// told after the new folders are watched; so who looks then misses nothing.
//
// Both the pause after a batch of events and that after a look (a multiple of what it took) bound
// what is spent when somebody changes files without end.
#include "server/catalog/folder_watch.h"

#include <linux/magic.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/errors.h"
#include "base/logging.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kWatched =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB | IN_ONLYDIR;
constexpr int kPauseForLook = 20;

/// Where changes that other machines make are not told here. File systems that
/// linux/magic.h does not name: CIFS, SMB2, GlusterFS and others in FUSE, Ceph, GPFS, Lustre.
bool isShared(const fs::path& folder) {
  constexpr std::array<std::uint32_t, 12> kShared = {
      NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, CODA_SUPER_MAGIC, V9FS_MAGIC, AFS_SUPER_MAGIC, AFS_FS_MAGIC,
      0xFF534D42,      0xFE534D42,      0x65735546,       0x00C36400, 0x47504653,      0x0BD00BD0};
  struct statfs status = {};
  return ::statfs(folder.c_str(), &status) != 0 ||
         std::ranges::find(kShared, static_cast<std::uint32_t>(status.f_type)) != kShared.end();
}

}  // namespace

FolderWatch::FolderWatch(fs::path folder, std::function<void()> onChange,
                         FolderWatchOptions options)
    : folder_(std::move(folder)),
      onChange_(std::move(onChange)),
      options_(options),
      inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  if (!inotify_) {
    spdlog::warn(
        "changes of {} are noticed late, as it cannot be watched: {}; see "
        "fs.inotify.max_user_instances in inotify(7)",
        folder_.string(), errnoCode(errno).message());
    return;
  }
  watchFolders();
  if (!seesAll_) {
    spdlog::info("not all changes of {} are told by the system: it is walked now and then",
                 folder_.string());
  }
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

FolderWatch::~FolderWatch() {
  thread_.request_stop();
  ending_.signal();
}

void FolderWatch::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (!waitFor(POLLIN, std::chrono::milliseconds(-1))) {
      continue;
    }
    const Events events = readEvents();
    const auto began = std::chrono::steady_clock::now();
    if (events.foldersChanged) {
      watchFolders();
    }
    const auto pause = kPauseForLook * (std::chrono::steady_clock::now() - began);
    if (events.changed) {
      ++changes_;
      onChange_();
    }
    waitFor(0,
            std::max(options_.pause, std::chrono::duration_cast<std::chrono::milliseconds>(pause)));
  }
}

/// True when inotify has `events`; false when the watch ends or the time is over.
bool FolderWatch::waitFor(short events, std::chrono::milliseconds longest) {
  std::array<pollfd, 2> wanted = {pollfd{ending_.fd(), POLLIN, 0},
                                  pollfd{inotify_.get(), events, 0}};
  const int ready = ::poll(wanted.data(), wanted.size(), static_cast<int>(longest.count()));
  return ready > 0 && (wanted[1].revents & POLLIN) != 0;
}

FolderWatch::Events FolderWatch::readEvents() {
  Events events;
  alignas(inotify_event) std::array<char, 16U << 10U> buffer;
  ssize_t got = 0;
  while ((got = ::read(inotify_.get(), buffer.data(), buffer.size())) > 0) {
    const auto end = static_cast<std::size_t>(got);
    for (std::size_t at = 0; at < end;) {
      inotify_event event = {};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* const name = buffer.data() + at + sizeof event;
      at += sizeof event + event.len;
      if (event.len > 0 && name[0] == '.') {
        continue;
      }
      events.changed = true;
      events.foldersChanged |= (event.mask & (IN_Q_OVERFLOW | IN_ISDIR)) != 0;
    }
  }
  return events;
}

/// Watches the folders that there are now, and no others.
void FolderWatch::watchFolders() {
  std::set<int> watched;
  const bool all = watchWithin(folder_, watched);
  for (const int gone : watched_) {
    if (!watched.contains(gone)) {
      static_cast<void>(::inotify_rm_watch(inotify_.get(), gone));  // fails for a removed folder
    }
  }
  watched_ = std::move(watched);
  seesAll_ = all;
}

/// Watches `folder` and what is in it. False if not everything can be seen.
bool FolderWatch::watchWithin(const fs::path& folder, std::set<int>& watched) {
  const int watch = watched.size() < options_.maxFolders ? addWatch(folder) : -1;
  if (watch < 0) {
    return false;
  }
  watched.insert(watch);
  bool all = !isShared(folder);
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code unknown;
    if (entry->path().filename().native().starts_with('.')) {
      continue;
    }
    // A link counts as what it leads to, which lies in the folder and is watched there, but for
    // what is hidden.
    if (entry->is_symlink(unknown)) {
      all = all && !entry->is_directory(unknown);
    } else if (entry->is_directory(unknown)) {
      all = watchWithin(entry->path(), watched) && all;
    }
  }
  return all && !error;
}

/// -1 if it cannot be watched.
int FolderWatch::addWatch(const fs::path& folder) {
  return ::inotify_add_watch(inotify_.get(), folder.c_str(), kWatched);
}

}  // namespace netcow
