// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "base/errors.h"
#include "session/session_oracle.h"
#include "source/source.h"

namespace netcow::test {

/// A base in which every sector holds a tag of its own, see SessionOracle::baseTag(). Answers at
/// once, or when it is told to. For tests with one thread.
class TaggedBase : public Source {
 public:
  explicit TaggedBase(std::uint64_t size) : size_(size) {}

  [[nodiscard]] const ImageName& image() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override {
    if (offset % kSectorSize != 0 || offset > size_ || buffer.size() > size_ - offset) {
      askedWrongly_ = true;
      done(errnoCode(EINVAL));
    } else if (hold) {
      held_.push_back({buffer, offset, std::move(done)});
    } else {
      answer({buffer, offset, std::move(done)}, 0);
    }
  }
  void stop() override { answerAll(EIO); }
  [[nodiscard]] std::string statusText() const override { return {}; }

  /// While true, reads wait for answerAll().
  bool hold = false;
  void answerAll(int error = 0) {
    while (!held_.empty()) {
      Read read = std::move(held_.front());
      held_.erase(held_.begin());
      answer(std::move(read), error);
    }
  }
  /// Whether it was asked for what it does not have.
  [[nodiscard]] bool wasAskedWrongly() const { return askedWrongly_; }

 private:
  struct Read {
    std::span<std::byte> buffer;
    std::uint64_t offset;
    Completion done;
  };
  static void answer(Read read, int error) {
    for (std::uint64_t at = 0; at < read.buffer.size() && error == 0; at += kSectorSize) {
      const auto sector = sectorOf(baseTag((read.offset + at) / kSectorSize));
      const auto part = read.buffer.subspan(at, std::min(kSectorSize, read.buffer.size() - at));
      std::copy_n(sector.begin(), part.size(), part.begin());
    }
    read.done(errnoCode(error));
  }

  const std::uint64_t size_;
  const ImageName name_{"tagged", 1};
  std::vector<Read> held_;
  bool askedWrongly_ = false;
};

}  // namespace netcow::test
