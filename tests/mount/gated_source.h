// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "base/mutex.h"
#include "source/source.h"
#include "support/plain_image.h"

namespace netcow::test {

/// A source whose answers wait behind a gate, like those of a server that hangs. Byte n of it is
/// patternByte(n). Answers come from a thread of its own. What is asked for in a batch comes to the
/// gate when the batch ends, never before. Thread-safe.
class GatedSource : public Source {
 public:
  explicit GatedSource(std::uint64_t size) : size_(size), thread_([this] { answerAll(); }) {}
  ~GatedSource() override { stop(); }
  GatedSource(const GatedSource&) = delete;
  GatedSource& operator=(const GatedSource&) = delete;

  [[nodiscard]] const ImageName& image() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] std::string statusText() const override { return "gated\n"; }

  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override {
    MutexLock lock(mutex_);
    if (stopped_) {
      lock.unlock();
      done(errnoCode(EIO));
      return;
    }
    const auto batch = batches_.find(std::this_thread::get_id());
    auto& place = batch == batches_.end() ? waiting_ : batch->second;
    place.push_back({buffer, offset, std::move(done)});
    changed_.notifyAll();
  }
  void beginBatch() override {
    const MutexLock lock(mutex_);
    batches_.try_emplace(std::this_thread::get_id());
  }
  void endBatch() override {
    MutexLock lock(mutex_);
    auto batch = batches_.extract(std::this_thread::get_id());
    if (batch.empty()) {
      return;
    }
    largestBatch_ = std::max(largestBatch_, batch.mapped().size());
    if (!stopped_) {
      std::ranges::move(batch.mapped(), std::back_inserter(waiting_));
      changed_.notifyAll();
      return;
    }
    lock.unlock();
    for (Read& read : batch.mapped()) {
      read.done(errnoCode(EIO));
    }
  }

  void stop() override {
    {
      const MutexLock lock(mutex_);
      stopped_ = true;
      changed_.notifyAll();
    }
    if (thread_.joinable()) {
      thread_.join();
    }
  }

  /// Closed: reads wait. Open (at first): they are answered.
  void closeGate() { setOpen(false); }
  void openGate() { setOpen(true); }

  /// The most reads that one batch had.
  [[nodiscard]] std::size_t largestBatch() const {
    const MutexLock lock(mutex_);
    return largestBatch_;
  }
  [[nodiscard]] std::size_t waiting() const {
    const MutexLock lock(mutex_);
    return waiting_.size();
  }
  /// Waits until `count` reads wait at the gate; false if they do not come.
  [[nodiscard]] bool waitForReads(std::size_t count) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    MutexLock lock(mutex_);
    while (waiting_.size() < count && std::chrono::steady_clock::now() < end) {
      changed_.waitFor(lock, std::chrono::milliseconds(100));
    }
    return waiting_.size() >= count;
  }

 private:
  struct Read {
    std::span<std::byte> buffer;
    std::uint64_t offset;
    Completion done;
  };

  void setOpen(bool open) {
    const MutexLock lock(mutex_);
    open_ = open;
    changed_.notifyAll();
  }

  void answerAll() {
    for (;;) {
      std::vector<Read> batch;
      bool failing = false;
      {
        MutexLock lock(mutex_);
        while (!stopped_ && (!open_ || waiting_.empty())) {
          changed_.wait(lock);
        }
        failing = stopped_;
        batch.swap(waiting_);
      }
      for (Read& read : batch) {
        for (std::size_t i = 0; i < read.buffer.size(); ++i) {
          read.buffer[i] = patternByte(read.offset + i);
        }
        read.done(errnoCode(failing ? EIO : 0));
      }
      if (failing) {
        return;
      }
    }
  }

  const std::uint64_t size_;
  const ImageName name_{"gated", 1};
  mutable Mutex mutex_;
  ConditionVariable changed_;
  std::vector<Read> waiting_ NETCOW_GUARDED_BY(mutex_);
  std::map<std::thread::id, std::vector<Read>> batches_ NETCOW_GUARDED_BY(mutex_);
  std::size_t largestBatch_ NETCOW_GUARDED_BY(mutex_) = 0;
  bool open_ NETCOW_GUARDED_BY(mutex_) = true;
  bool stopped_ NETCOW_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace netcow::test
