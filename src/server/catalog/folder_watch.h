// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <thread>

#include "base/unique_fd.h"
#include "base/wake_up.h"

namespace netcow {

struct FolderWatchOptions {
  std::size_t maxFolders = 4096;  ///< each takes about 1 KiB of the kernel's memory
  /// What happens within such a time is told together.
  std::chrono::milliseconds pause = std::chrono::milliseconds(100);
};

/// Notices (inotify) that files or folders came into a folder or one of its sub-folders, went, were
/// written and closed, or changed their owner or mode. Hidden ones are left out. It does not say
/// which: whoever hears of a change looks for himself, so events that are lost (queue overflow) or
/// come in any order do no harm.
///
/// What it cannot see (network file systems, more folders than it may watch) has to be found by a
/// look now and then; `seesAll` tells whether there is such a thing.
///
/// Thread-safe.
class FolderWatch {
 public:
  /// `onChange` is called on the watch's thread. Throws nothing: what cannot be watched is logged.
  FolderWatch(std::filesystem::path folder, std::function<void()> onChange,
              FolderWatchOptions options = {});
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;
  ~FolderWatch();

  /// Grows with each change. Ask before looking at the folder: what the look misses comes later.
  [[nodiscard]] std::uint64_t changes() const { return changes_; }
  /// Whether every change is seen.
  [[nodiscard]] bool seesAll() const { return seesAll_; }

 private:
  /// What came out of the kernel's queue.
  struct Events {
    bool changed = false;
    bool foldersChanged = false;  ///< which of them there are
  };

  void run(const std::stop_token& stop);
  Events readEvents();
  void watchFolders();
  bool watchWithin(const std::filesystem::path& folder, std::set<int>& watched);
  int addWatch(const std::filesystem::path& folder);
  bool waitFor(short events, std::chrono::milliseconds longest);

  const std::filesystem::path folder_;
  const std::function<void()> onChange_;
  const FolderWatchOptions options_;
  UniqueFd inotify_;
  std::set<int> watched_;  ///< watch descriptors; of the thread alone, once it runs
  std::atomic<std::uint64_t> changes_ = 0;
  std::atomic<bool> seesAll_ = false;
  WakeUp ending_;
  std::jthread thread_;
};

}  // namespace netcow
