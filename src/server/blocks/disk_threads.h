// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "server/blocks/client_loop.h"

namespace netcow {

/// Threads that go on with clients where that may wait for the disk. They sleep while there are
/// none.
class DiskThreads {
 public:
  explicit DiskThreads(int threads);
  ~DiskThreads();
  DiskThreads(const DiskThreads&) = delete;
  DiskThreads& operator=(const DiskThreads&) = delete;

  /// Goes on with a client and gives it back. `loop` does not touch it until then.
  void lend(ClientLoop::Member& member, ClientLoop& loop);

  /// Waits for the threads, which end what they are at; clients that still wait stay lent.
  void stop();

 private:
  struct Lent {
    ClientLoop::Member* member;
    ClientLoop* loop;
  };
  void run(const std::stop_token& stopped);

  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Lent> queue_ NETCOW_GUARDED_BY(mutex_);
  std::vector<std::jthread> threads_;
};

}  // namespace netcow
