// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "base/mutex.h"
#include "source/source.h"

namespace netcow::test {

/// A source that answers on a thread of its own, in any order, from a formula. Thread-safe.
class LateSource : public Source {
 public:
  using Fill = std::function<void(std::span<std::byte> buffer, std::uint64_t offset)>;

  /// `fill` is called on the source's thread.
  LateSource(std::uint64_t size, std::uint64_t seed, Fill fill)
      : size_(size), fill_(std::move(fill)), thread_([this, seed] { run(seed); }) {}
  ~LateSource() override { stop(); }
  LateSource(const LateSource&) = delete;
  LateSource& operator=(const LateSource&) = delete;

  [[nodiscard]] const ImageName& image() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override {
    const MutexLock lock(mutex_);
    waiting_.push_back({buffer, offset, std::move(done)});
    changed_.notifyOne();
  }
  /// Answers what is pending as usual, then ends.
  void stop() override {
    {
      const MutexLock lock(mutex_);
      stopped_ = true;
      changed_.notifyOne();
    }
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  [[nodiscard]] std::string statusText() const override { return "late\n"; }

 private:
  struct Read {
    std::span<std::byte> buffer;
    std::uint64_t offset;
    Completion done;
  };

  void run(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    MutexLock lock(mutex_);
    for (;;) {
      while (waiting_.empty() && !stopped_) {
        changed_.wait(lock);
      }
      if (waiting_.empty()) {
        return;
      }
      std::swap(waiting_[random() % waiting_.size()], waiting_.back());
      Read read = std::move(waiting_.back());
      waiting_.pop_back();
      lock.unlock();
      if (read.offset + read.buffer.size() > size_) {
        read.done(errnoCode(EINVAL));  // nobody may ask for what is behind the end
      } else {
        fill_(read.buffer, read.offset);
        read.done({});
      }
      lock.lock();
    }
  }

  const std::uint64_t size_;
  const Fill fill_;
  const ImageName name_{"late", 1};
  Mutex mutex_;
  ConditionVariable changed_;
  std::vector<Read> waiting_ NETCOW_GUARDED_BY(mutex_);
  bool stopped_ NETCOW_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // the last: it uses the others
};

}  // namespace netcow::test
