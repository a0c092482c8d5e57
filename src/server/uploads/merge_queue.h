// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "base/mutex.h"
#include "server/uploads/upload.h"

namespace netcow {

/// One thread that merges uploads, one after the other: two at a time would only make each other's
/// disk slower. Thread-safe.
class MergeQueue {
 public:
  using Job = std::function<void(Upload&)>;

  /// Begins to work. `job` may throw; that is logged and the next one is taken.
  explicit MergeQueue(Job job);
  /// As stop().
  ~MergeQueue();
  MergeQueue(const MergeQueue&) = delete;
  MergeQueue& operator=(const MergeQueue&) = delete;

  void push(std::shared_ptr<Upload> upload);

  /// Cancels the merge that runs, takes no other, and waits for the thread.
  void stop();

 private:
  void work();
  std::shared_ptr<Upload> take();

  const Job job_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<std::shared_ptr<Upload>> waiting_ NETCOW_GUARDED_BY(mutex_);
  std::shared_ptr<Upload> current_ NETCOW_GUARDED_BY(mutex_);
  bool stopped_ NETCOW_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace netcow
