// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/disk_threads.h"

namespace netcow {

DiskThreads::DiskThreads(int threads) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this](const std::stop_token& stopped) { run(stopped); });
  }
}

DiskThreads::~DiskThreads() {
  stop();
}

void DiskThreads::stop() {
  {
    const MutexLock lock(mutex_);
    for (std::jthread& thread : threads_) {
      thread.request_stop();
    }
  }
  changed_.notifyAll();
  threads_.clear();
}

void DiskThreads::lend(ClientLoop::Member& member, ClientLoop& loop) {
  {
    const MutexLock lock(mutex_);
    queue_.push_back({&member, &loop});
  }
  changed_.notifyOne();
}

void DiskThreads::run(const std::stop_token& stopped) {
  ClientConnection::prepareThread();
  IoBuffers buffers;
  MutexLock lock(mutex_);
  for (;;) {
    while (queue_.empty() && !stopped.stop_requested()) {
      changed_.wait(lock);
    }
    if (stopped.stop_requested()) {
      return;
    }
    const Lent next = queue_.front();
    queue_.pop_front();
    lock.unlock();
    const auto then =
        next.member->connection.proceed(buffers, DiskAccess::mayWait, /*readable=*/false);
    next.loop->giveBack(*next.member, then);
    lock.lock();
  }
}

}  // namespace netcow
