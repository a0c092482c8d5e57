// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "image/image.h"
#include "mount/fuse_api.h"
#include "mount/request_memory.h"

namespace netcow {

/// The threads that take requests from the kernel and run their callbacks.
///
/// The device is non-blocking: a worker that was woken takes requests until there is none left,
/// and only then sleeps again. It sleeps on an epoll of its own, exclusively, so that a request
/// wakes one worker and not all.
///
/// Where many requests come at a time, a worker makes batches of them: what they need of the
/// network is asked for together. A batch ends when there is no further request, and after a few of
/// them, because one that waits for the disk lets those before it wait too. All methods are
/// thread-safe unless said otherwise.
class WorkerLoop {
 public:
  /// `session` is mounted, and shows `image`; all must live until stop(). Throws std::system_error.
  WorkerLoop(fuse_session* session, RequestMemory& memory, Image& image);
  /// Stops and joins.
  ~WorkerLoop();
  WorkerLoop(const WorkerLoop&) = delete;
  WorkerLoop& operator=(const WorkerLoop&) = delete;

  /// Starts the threads; once.
  void start(unsigned workers);
  /// Asks waitForEnd() to return; the workers go on.
  void requestEnd() NETCOW_EXCLUDES(mutex_);
  /// Waits until the end is asked for, or the mount has gone. True if the mount has gone.
  bool waitForEnd() NETCOW_EXCLUDES(mutex_);
  /// Ends the workers; a request being worked on is finished. One thread at a time.
  void stop() NETCOW_EXCLUDES(mutex_);

 private:
  void work();
  void serve(int epoll);
  class Batch;
  /// Takes requests until there is none. False: the session is over.
  bool drain(Batch& batch);
  [[nodiscard]] UniqueFd makeEpoll() const;

  fuse_session* const session_;
  RequestMemory& memory_;
  Image& image_;
  const UniqueFd stop_;  // eventfd: readable for ever once it is time to stop
  std::vector<std::thread> workers_;

  Mutex mutex_;
  ConditionVariable ended_;
  bool endRequested_ NETCOW_GUARDED_BY(mutex_) = false;
  bool gone_ NETCOW_GUARDED_BY(mutex_) = false;
};

}  // namespace netcow
