// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/merge_queue.h"

#include <exception>
#include <utility>

#include "base/logging.h"

namespace netcow {

MergeQueue::MergeQueue(Job job) : job_(std::move(job)), thread_([this] { work(); }) {}

MergeQueue::~MergeQueue() {
  stop();
}

void MergeQueue::push(std::shared_ptr<Upload> upload) {
  const MutexLock lock(mutex_);
  waiting_.push_back(std::move(upload));
  changed_.notifyAll();
}

void MergeQueue::stop() {
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
    if (current_) {
      current_->progress().cancel = true;
    }
    changed_.notifyAll();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

void MergeQueue::work() {
  while (const auto upload = take()) {
    try {
      job_(*upload);
    } catch (const std::exception& error) {
      spdlog::error("a merge stopped half-way and goes on at the next start: {}", error.what());
    }
  }
}

/// The next upload; null at the end.
std::shared_ptr<Upload> MergeQueue::take() {
  MutexLock lock(mutex_);
  current_.reset();
  while (!stopped_ && waiting_.empty()) {
    changed_.wait(lock);
  }
  if (!stopped_) {
    current_ = std::move(waiting_.front());
    waiting_.pop_front();
  }
  return current_;
}

}  // namespace netcow
