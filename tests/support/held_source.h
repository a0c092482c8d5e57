// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "source/source.h"

namespace netcow::test {

/// A source over bytes in memory that answers only when the test says so, in any order. For tests
/// with one thread.
class HeldSource : public Source {
 public:
  explicit HeldSource(std::vector<std::byte> content) : content_(std::move(content)) {}

  [[nodiscard]] const ImageName& image() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const override { return content_.size(); }
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override {
    if (offset + buffer.size() > content_.size()) {
      outOfRange_ = true;
      done(errnoCode(EINVAL));
      return;
    }
    held_.push_back({buffer, offset, std::move(done)});
    if (!hold) {
      answer(held_.size() - 1);
    }
  }
  void willNeedNear(std::uint64_t offset, std::uint64_t length) override {
    outOfRange_ = outOfRange_ || offset + length > content_.size();
    hints_.emplace_back(offset, length);
  }
  void stop() override {
    while (pending() > 0) {
      answer(0, EIO);
    }
  }
  [[nodiscard]] std::string statusText() const override { return "held\n"; }

  /// While false, reads are answered in the calling thread.
  bool hold = true;
  [[nodiscard]] std::size_t pending() const { return held_.size(); }
  [[nodiscard]] bool wasAskedOutOfRange() const { return outOfRange_; }
  /// What was said to have neighbours that are needed: offsets and lengths.
  [[nodiscard]] const std::vector<std::pair<std::uint64_t, std::uint64_t>>& hints() const {
    return hints_;
  }
  /// Answers the n-th of the held reads.
  void answer(std::size_t n, int error = 0) {
    Read read = std::move(held_[n]);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(n));
    if (error == 0) {
      std::memcpy(read.buffer.data(), content_.data() + read.offset, read.buffer.size());
    }
    read.done(errnoCode(error));
  }

 private:
  struct Read {
    std::span<std::byte> buffer;
    std::uint64_t offset;
    Completion done;
  };
  std::vector<std::byte> content_;
  ImageName name_{"held", 1};
  std::vector<Read> held_;
  bool outOfRange_ = false;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> hints_;
};

}  // namespace netcow::test
