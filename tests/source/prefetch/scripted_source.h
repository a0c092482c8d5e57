// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "base/mutex.h"
#include "source/source.h"
#include "support/seeded_random.h"

namespace netcow::test {

/// Eight bytes (little-endian) of what a ScriptedSource has, which tell where they lie.
inline std::uint64_t wordAt(std::uint64_t offset) {
  return (offset / 8 + 1) * 0x9E3779B97F4A7C15U;
}

/// Calls each(place in `bytes`, first byte of the word, count) for the words of a range.
template <class Each>
void forEachWord(std::uint64_t size, std::uint64_t offset, Each each) {
  std::uint64_t at = 0;
  for (std::uint64_t count = 0; at < size; at += count) {
    const std::uint64_t within = (offset + at) % 8;
    count = std::min(8 - within, size - at);
    const std::uint64_t word = wordAt(offset + at);
    if (count == 8) {
      each(at, word, std::integral_constant<std::size_t, 8>());
    } else {
      each(at, word >> (8 * within), static_cast<std::size_t>(count));
    }
  }
}

inline void fillWithContent(std::span<std::byte> bytes, std::uint64_t offset) {
  forEachWord(bytes.size(), offset, [&](std::uint64_t at, std::uint64_t word, auto count) {
    std::memcpy(bytes.data() + at, &word, count);
  });
}

/// Whether `bytes` are what a ScriptedSource has at `offset`.
inline bool isContent(std::span<const std::byte> bytes, std::uint64_t offset) {
  bool same = true;
  forEachWord(bytes.size(), offset, [&](std::uint64_t at, std::uint64_t word, auto count) {
    same = same && std::memcmp(bytes.data() + at, &word, count) == 0;
  });
  return same;
}

/// A source of such words that answers as its script says: at once or when asked to, in any
/// order, with errors. Thread-safe.
class ScriptedSource : public Source {
 public:
  struct Script {
    std::uint64_t atOnceOneIn = 0;  ///< answers one of so many in the calling thread; 0: none
    /// Reads that touch this range always fail.
    std::uint64_t badFrom = 0;
    std::uint64_t badTo = 0;
    /// Fails one of so many reads into memory that is not the test's own; 0: none.
    std::uint64_t failOneIn = 0;
    std::span<std::byte> own;
    std::optional<std::chrono::microseconds> roundTrip;
  };

  ScriptedSource(std::uint64_t size, Script script, SeededRandom random)
      : size_(size), script_(script), random_(std::move(random)) {}
  ~ScriptedSource() override { stop(); }
  ScriptedSource(const ScriptedSource&) = delete;
  ScriptedSource& operator=(const ScriptedSource&) = delete;

  [[nodiscard]] const ImageName& image() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] std::string statusText() const override { return "scripted\n"; }
  [[nodiscard]] std::optional<std::chrono::steady_clock::duration> shortestRoundTrip()
      const override {
    return script_.roundTrip;
  }

  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override {
    bool atOnce = false;
    Read read{buffer, offset, 0, std::move(done)};
    {
      const MutexLock lock(mutex_);
      asked_ += buffer.size();
      ++requests_;
      if (buffer.empty() || offset > size_ || buffer.size() > size_ - offset) {
        broken_ = true;
        read.error = EINVAL;
      } else if (stopped_ || (offset < script_.badTo && offset + buffer.size() > script_.badFrom) ||
                 (!isOwn(buffer) && script_.failOneIn != 0 && random_.oneIn(script_.failOneIn))) {
        read.error = EIO;
      }
      atOnce = stopped_ || (script_.atOnceOneIn != 0 && random_.oneIn(script_.atOnceOneIn));
      if (!atOnce) {
        held_.push_back(std::move(read));
        changed_.notifyOne();
      }
    }
    if (atOnce) {
      finish(read);
    }
  }

  void stop() override {
    std::vector<Read> rest;
    {
      MutexLock lock(mutex_);
      stopped_ = true;
      rest.swap(held_);
      changed_.notifyAll();
    }
    for (Read& read : rest) {
      read.error = EIO;
      finish(read);
    }
    MutexLock lock(mutex_);
    while (answering_ > 0) {
      changed_.wait(lock);
    }
  }

  /// Answers one of the held reads. False if there is none.
  bool answerOne() {
    Read read;
    {
      const MutexLock lock(mutex_);
      if (held_.empty()) {
        return false;
      }
      read = takeAny();
    }
    answer(std::move(read));
    return true;
  }
  void answerAll() {
    while (answerOne()) {
    }
  }
  /// Answers until it is stopped.
  void answerForever() {
    for (;;) {
      Read read;
      {
        MutexLock lock(mutex_);
        while (held_.empty() && !stopped_) {
          changed_.wait(lock);
        }
        if (held_.empty()) {
          return;
        }
        read = takeAny();
      }
      answer(std::move(read));
    }
  }

  [[nodiscard]] std::size_t held() const {
    const MutexLock lock(mutex_);
    return held_.size();
  }
  [[nodiscard]] std::uint64_t bytesAsked() const {
    const MutexLock lock(mutex_);
    return asked_;
  }
  [[nodiscard]] std::uint64_t requests() const {
    const MutexLock lock(mutex_);
    return requests_;
  }
  /// Whether it was asked for what it does not have.
  [[nodiscard]] bool wasAskedOutOfRange() const {
    const MutexLock lock(mutex_);
    return broken_;
  }

 private:
  struct Read {
    std::span<std::byte> buffer;
    std::uint64_t offset = 0;
    int error = 0;
    Completion done;
  };

  [[nodiscard]] bool isOwn(std::span<std::byte> buffer) const {
    const std::less_equal<> notAfter;
    return notAfter(script_.own.data(), buffer.data()) &&
           notAfter(buffer.data() + buffer.size(), script_.own.data() + script_.own.size());
  }
  [[nodiscard]] Read takeAny() NETCOW_REQUIRES(mutex_) {
    std::swap(held_[random_.between(0, held_.size() - 1)], held_.back());
    Read read = std::move(held_.back());
    held_.pop_back();
    ++answering_;
    return read;
  }
  void answer(Read read) {
    finish(read);
    const MutexLock lock(mutex_);
    --answering_;
    changed_.notifyAll();
  }
  static void finish(Read& read) {
    if (read.error == 0) {
      fillWithContent(read.buffer, read.offset);
    }
    read.done(errnoCode(read.error));
  }

  const std::uint64_t size_;
  const Script script_;
  const ImageName name_{"scripted", 1};
  mutable Mutex mutex_;
  ConditionVariable changed_;
  SeededRandom random_ NETCOW_GUARDED_BY(mutex_);
  std::vector<Read> held_ NETCOW_GUARDED_BY(mutex_);
  int answering_ NETCOW_GUARDED_BY(mutex_) = 0;
  std::uint64_t asked_ NETCOW_GUARDED_BY(mutex_) = 0;
  std::uint64_t requests_ NETCOW_GUARDED_BY(mutex_) = 0;
  bool stopped_ NETCOW_GUARDED_BY(mutex_) = false;
  bool broken_ NETCOW_GUARDED_BY(mutex_) = false;
};

}  // namespace netcow::test
