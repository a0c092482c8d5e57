// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "image/stress_writer.h"

namespace netcow::test {

/// Moves the end of an image up and down, and writes, also beyond the end, while others work in
/// front of it. Alone there, so it knows what every byte must be.
class StressTail {
 public:
  /// The image may end anywhere in [begin, end); the base reaches into it.
  StressTail(Image& image, Findings& findings, std::uint64_t begin, std::uint64_t end,
             std::uint64_t seed)
      : image_(image), findings_(findings), begin_(begin), end_(end), random_(seed) {
    content_.resize(image.size() - begin);
    for (std::uint64_t i = 0; i < content_.size(); ++i) {
      content_[i] = baseByte(begin + i);
    }
  }

  void run(int steps) {
    for (int i = 0; i < steps && !findings_.any(); ++i) {
      switch (random_() % 6) {
        case 0:
          resize(random_() % (end_ - begin_));
          break;
        case 1:
          check(image_);
          break;
        case 2:
          zero(random_() % (end_ - begin_), 1 + random_() % 200'000);
          break;
        default:
          write(random_() % (end_ - begin_), 1 + random_() % 20'000);
      }
    }
  }

  void check(Image& image) {
    if (image.size() != begin_ + content_.size()) {
      findings_.add("the image has " + std::to_string(image.size()) + " bytes in place of " +
                    std::to_string(begin_ + content_.size()));
      return;
    }
    const auto found = readAndWait(image, begin_, content_.size(), findings_);
    const auto [at, expected] = std::mismatch(found.begin(), found.end(), content_.begin());
    if (at != found.end()) {
      findings_.add("byte " +
                    std::to_string(begin_ + static_cast<std::uint64_t>(at - found.begin())) +
                    " near the end is wrong");
    }
  }

 private:
  void resize(std::uint64_t size) {
    if (const auto error = image_.resize(begin_ + size)) {
      findings_.add("resize: " + error.message());
    }
    content_.resize(size);
  }

  void write(std::uint64_t at, std::uint64_t length) {
    const std::uint64_t end = std::min(at + length, end_ - begin_);
    std::vector<std::byte> bytes(end - at);
    for (auto& byte : bytes) {
      byte = static_cast<std::byte>(random_() & 0xFFU);
    }
    content_.resize(std::max<std::uint64_t>(content_.size(), end));
    std::copy(bytes.begin(), bytes.end(), content_.begin() + static_cast<std::ptrdiff_t>(at));
    wait([&](Completion done) { image_.write(bytes, begin_ + at, std::move(done)); });
  }

  void zero(std::uint64_t at, std::uint64_t length) {
    const std::uint64_t end = std::min(at + length, end_ - begin_);
    const bool keepSize = random_() % 2 == 0;
    if (!keepSize) {
      content_.resize(std::max<std::uint64_t>(content_.size(), end));
    }
    for (std::uint64_t i = at; i < std::min<std::uint64_t>(end, content_.size()); ++i) {
      content_[i] = std::byte{0};
    }
    wait([&](Completion done) { image_.zero(begin_ + at, end - at, keepSize, std::move(done)); });
  }

  /// Starts an operation and waits for its end.
  template <class Start>
  void wait(Start start) {
    Mutex mutex;
    ConditionVariable changed;
    bool ended = false;
    start([&](const std::error_code& error) {
      if (error) {
        findings_.add("an operation near the end: " + error.message());
      }
      const MutexLock lock(mutex);
      ended = true;
      changed.notifyAll();
    });
    MutexLock lock(mutex);
    while (!ended) {
      changed.wait(lock);
    }
  }

  Image& image_;
  Findings& findings_;
  const std::uint64_t begin_;
  const std::uint64_t end_;
  std::mt19937_64 random_;
  std::vector<std::byte> content_;  ///< from begin_ to the end of the image
};

}  // namespace netcow::test
