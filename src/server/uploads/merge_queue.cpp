// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/merge_queue.h"

#include <exception>
#include <utility>

#include "base/logging.h"

namespace netcow {

MergeQueue::MergeQueue(Job job, std::chrono::milliseconds pause)
    : job_(std::move(job)), pause_(pause), thread_([this] { work(); }) {}

MergeQueue::~MergeQueue() {
  stop();
}

void MergeQueue::push(std::shared_ptr<Upload> upload) {
  const MutexLock lock(mutex_);
  waiting_.push_back(std::move(upload));
  changed_.notifyAll();
}

bool MergeQueue::remove(const Upload& upload) {
  const MutexLock lock(mutex_);
  const auto isUpload = [&](const std::shared_ptr<Upload>& one) { return one.get() == &upload; };
  return std::erase_if(waiting_, isUpload) +
             std::erase_if(paused_, [&](const Paused& one) { return isUpload(one.upload); }) >
         0;
}

MergeQueue::Length MergeQueue::length() const {
  const MutexLock lock(mutex_);
  return {waiting_.size() + paused_.size(), current_ ? 1U : 0U};
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
      const std::string uuid = upload->record().uuid;
      spdlog::error("upload {}: the merge stopped half-way and goes on in a while: {}",
                    shortUuid(uuid), hideUuid(error.what(), uuid));
      pause(upload);
    }
  }
}

/// The next upload; null at the end.
std::shared_ptr<Upload> MergeQueue::take() {
  MutexLock lock(mutex_);
  current_.reset();
  endPauses();
  while (!stopped_ && waiting_.empty()) {
    waitForChange(lock);
    endPauses();
  }
  if (!stopped_) {
    current_ = std::move(waiting_.front());
    waiting_.pop_front();
  }
  return current_;
}

void MergeQueue::pause(std::shared_ptr<Upload> upload) {
  const MutexLock lock(mutex_);
  paused_.push_back({SteadyClock::now() + pause_, std::move(upload)});
}

void MergeQueue::endPauses() {
  while (!paused_.empty() && paused_.front().until <= SteadyClock::now()) {
    waiting_.push_back(std::move(paused_.front().upload));
    paused_.pop_front();
  }
}

/// Waits for a change or for the end of the first pause; may return early.
void MergeQueue::waitForChange(MutexLock& lock) {
  if (paused_.empty()) {
    changed_.wait(lock);
  } else {
    changed_.waitFor(lock, paused_.front().until - SteadyClock::now());
  }
}

}  // namespace netcow
