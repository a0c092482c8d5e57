// SPDX-License-Identifier: Apache-2.0
// Readers of all kinds over a source that answers in any order, late, at once or with errors.
// Every byte is checked, every completion must run exactly once, and the memory has its limit.
#include <gtest/gtest.h>

#include <atomic>
#include <list>
#include <thread>

#include "source/prefetch/prefetch_source.h"
#include "source/prefetch/scripted_source.h"
#include "support/fake_clock.h"
#include "support/seeded_cases.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20U;

/// Where somebody reads next: in order, backward, in steps, or anywhere.
class Walk {
 public:
  Walk(std::uint64_t size, SeededRandom& random) : size_(size) {
    length_ = random.oneIn(10) ? random.between(1, 400'000) : random.between(1, 16) * 4096;
    kind_ = random.between(0, 3);
    const std::uint64_t step = kind_ == 2 ? length_ + random.between(1, 50) * 4096 : length_;
    step_ = random.oneIn(3) ? -static_cast<std::int64_t>(step) : static_cast<std::int64_t>(step);
    at_ = random.between(0, size_ - length_);
  }
  struct Range {
    std::uint64_t offset;
    std::uint64_t length;
  };
  Range next(SeededRandom& random) {
    if (kind_ == 3 || random.oneIn(40)) {
      at_ = random.between(0, size_ - length_);
    }
    const Range range{at_, length_};
    const std::uint64_t then = at_ + static_cast<std::uint64_t>(step_);
    at_ = then <= size_ - length_ ? then : random.between(0, size_ - length_);
    return range;
  }

 private:
  std::uint64_t size_;
  std::uint64_t length_;
  std::uint64_t kind_;
  std::int64_t step_;
  std::uint64_t at_;
};

/// One case: a source, and the reads of it.
class Case {
 public:
  explicit Case(SeededRandom& random, std::uint64_t arena)
      : size_(random.between(1, 6 * kMebibyte)), arena_(arena) {
    size_ = std::max<std::uint64_t>(size_, 450'000);
    ScriptedSource::Script script;
    script.atOnceOneIn = random.between(0, 4);
    script.failOneIn = random.oneIn(2) ? random.between(1, 20) : 0;
    script.own = arena_;
    if (random.oneIn(3)) {
      script.badFrom = random.between(0, size_ - 1);
      script.badTo = script.badFrom + random.between(1, 300'000);
    }
    script_ = script;
    options_.memory = random.between(1, 16) * 262'144;
    auto inner = std::make_unique<ScriptedSource>(size_, script, random.fork());
    inner_ = inner.get();
    source_ = std::make_unique<PrefetchSource>(std::move(inner), options_, clock_);
  }

  struct Read {
    std::span<std::byte> buffer;
    std::uint64_t offset = 0;
    std::atomic<int> calls = 0;
    int error = 0;
  };
  /// `buffer` is the test's own.
  void start(Read& read, std::span<std::byte> buffer, std::uint64_t offset) {
    read.buffer = buffer;
    read.offset = offset;
    source_->read(buffer, offset, [&read](const std::error_code& error) {
      read.error = error.value();
      ++read.calls;
      read.calls.notify_all();
    });
  }
  /// What is wrong with a read that should have ended.
  [[nodiscard]] std::string check(const Read& read, bool stopped) const {
    const std::uint64_t end = read.offset + read.buffer.size();
    const std::string where =
        std::to_string(read.buffer.size()) + " bytes at " + std::to_string(read.offset);
    if (read.calls != 1) {
      return where + " were answered " + std::to_string(read.calls) + " times";
    }
    const bool bad = read.offset < script_.badTo && end > script_.badFrom;
    if (read.error != 0) {
      return bad || stopped ? "" : where + " failed: " + std::to_string(read.error);
    }
    if (bad) {
      return where + " did not fail";
    }
    return isContent(read.buffer, read.offset) ? "" : where + " are wrong";
  }
  [[nodiscard]] std::string checkBounds() const {
    if (source_->memory() > options_.memory) {
      return std::to_string(source_->memory()) + " bytes of memory, not " +
             std::to_string(options_.memory);
    }
    return inner_->wasAskedOutOfRange() ? "asked for what is behind the end" : "";
  }

  std::uint64_t size_;
  std::vector<std::byte> arena_;
  FakeClock clock_;
  ScriptedSource::Script script_;
  PrefetchSource::Options options_;
  ScriptedSource* inner_ = nullptr;
  std::unique_ptr<PrefetchSource> source_;
};

std::string readInOneThread(SeededRandom& random) {
  constexpr std::uint64_t kReads = 50;
  Case one(random, 2 * kMebibyte);
  std::list<Case::Read> reads;
  std::vector<Walk> walks;
  for (std::uint64_t i = random.between(1, 3); i > 0; --i) {
    walks.emplace_back(one.size_, random);
  }
  const bool stops = random.oneIn(4);
  std::span<std::byte> free(one.arena_);  // each read has a part of its own
  const std::uint64_t eager = random.between(1, 4);
  for (std::uint64_t i = 0; i < kReads; ++i) {
    const Walk::Range range = walks[random.between(0, walks.size() - 1)].next(random);
    if (range.length > free.size()) {
      break;
    }
    one.start(reads.emplace_back(), free.first(range.length), range.offset);
    free = free.subspan(range.length);
    if (random.oneIn(8)) {
      one.source_->willNeedNear(range.offset, range.length);
    }
    one.clock_.advance(std::chrono::microseconds(random.between(0, 30'000)));
    for (std::uint64_t answers = random.between(0, 2 * eager); answers > 0; --answers) {
      one.inner_->answerOne();
    }
    if (std::string wrong = one.checkBounds(); !wrong.empty()) {
      return wrong;
    }
  }
  if (stops) {
    one.source_->stop();
  } else {
    one.inner_->answerAll();
  }
  for (const Case::Read& read : reads) {
    if (std::string wrong = one.check(read, stops); !wrong.empty()) {
      return wrong;
    }
  }
  return "";
}

TEST(PrefetchProperty, EveryByteIsRightAndEachReadIsAnsweredOnce) {
  SeededCases cases;
  for (int i = 0; i < (longRun() ? 200'000 : 2000); ++i) {
    cases.run(readInOneThread);
  }
}

std::string readInThreads(SeededRandom& random) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kReads = 80;
  constexpr std::size_t kPart = 400'000;
  Case one(random, kThreads * kPart);
  std::vector<std::jthread> answering;
  for (int i = 0; i < 2; ++i) {
    answering.emplace_back([&] { one.inner_->answerForever(); });
  }
  const bool stops = random.oneIn(3);
  std::array<std::string, kThreads> wrong;
  {
    std::vector<std::jthread> reading;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      reading.emplace_back([&, thread, own = random.fork()]() mutable {
        const auto buffer = std::span(one.arena_).subspan(thread * kPart, kPart);
        Walk walk(one.size_, own);
        for (std::size_t i = 0; i < kReads && wrong.at(thread).empty(); ++i) {
          const Walk::Range range = walk.next(own);
          Case::Read read;
          one.start(read, buffer.first(range.length), range.offset);
          if (own.oneIn(8)) {
            one.source_->willNeedNear(range.offset, range.length);
          }
          read.calls.wait(0);
          one.clock_.advance(std::chrono::microseconds(own.between(0, 5000)));
          wrong.at(thread) = one.check(read, stops);
          if (wrong.at(thread).empty()) {
            wrong.at(thread) = one.checkBounds();
          }
        }
      });
    }
    if (stops) {
      std::this_thread::sleep_for(std::chrono::microseconds(random.between(0, 3000)));
      one.source_->stop();
    }
  }
  one.source_->stop();
  for (std::string& text : wrong) {
    if (!text.empty()) {
      return text;
    }
  }
  return "";
}

TEST(PrefetchProperty, ThreadsOfAllKindsGetTheirBytesOnce) {
  SeededCases cases;
  for (int i = 0; i < (longRun() ? 3000 : 40); ++i) {
    cases.run(readInThreads);
  }
}

}  // namespace
}  // namespace netcow::test
