// SPDX-License-Identifier: Apache-2.0
// Many threads read at random while servers reorder replies, cut connections and send garbage.
// Every byte is checked, and every completion must run exactly once.
#include <gtest/gtest.h>

#include <atomic>
#include <list>
#include <memory>
#include <thread>

#include "source/dnbd3/dnbd3_fixture.h"
#include "support/seeded_random.h"

namespace netcow::test {
namespace {

using std::chrono::microseconds;

/// One reader's work: keeps some reads under way until all are done.
class Reader {
 public:
  Reader(Source& source, std::uint64_t imageSize, std::uint64_t seed)
      : source_(source), imageSize_(imageSize), random_(seed) {}

  void run(int reads) {
    for (int i = 0; i < reads; ++i) {
      started_.emplace_back(std::make_unique<Read>());
      Read& read = *started_.back();
      read.buffer.resize(random_.oneIn(20) ? random_.between(1, 700'000)
                                           : random_.between(1, 8192));
      read.offset = random_.between(0, imageSize_ - read.buffer.size());
      source_.read(read.buffer, read.offset, [this, &read](std::error_code error) {
        read.error = error;
        ++read.answers;
        --underWay_;
        underWay_.notify_one();
      });
      waitUntilAtMost(++underWay_ > 24 ? 12 : 1000);
    }
    waitUntilAtMost(0);
  }
  /// Checked at the very end, when no completion can run any more.
  void check() const {
    for (const auto& read : started_) {
      ASSERT_EQ(read->answers, 1);
      ASSERT_FALSE(read->error) << read->error.message();
      ASSERT_TRUE(matchesPattern(read->buffer, read->offset))
          << read->buffer.size() << " bytes at " << read->offset;
    }
  }

 private:
  struct Read {
    std::vector<std::byte> buffer;
    std::uint64_t offset = 0;
    std::atomic<int> answers = 0;
    std::error_code error;
  };
  void waitUntilAtMost(int limit) {
    for (int now = underWay_; now > limit; now = underWay_) {
      underWay_.wait(now);
    }
  }
  Source& source_;
  std::uint64_t imageSize_;
  SeededRandom random_;
  std::vector<std::unique_ptr<Read>> started_;
  std::atomic<int> underWay_ = 0;
};

class Dnbd3PropertyTest : public Dnbd3Fixture {
 protected:
  void readFrom(const std::vector<const Server*>& servers, int threads, int readsEach) {
    const auto source = connect(servers);
    std::list<Reader> readers;
    for (int i = 0; i < threads; ++i) {
      readers.emplace_back(*source, kSize, random_.between(0, 1U << 30U));
    }
    {
      std::vector<std::jthread> running;
      running.reserve(readers.size());
      for (Reader& reader : readers) {
        running.emplace_back([&reader, readsEach] { reader.run(readsEach); });
      }
    }
    source->stop();
    for (const Reader& reader : readers) {
      reader.check();
    }
  }
  SeededRandom random_;
};

TEST_F(Dnbd3PropertyTest, EveryByteIsRightWhileTheServerReordersAndCuts) {
  Dnbd3Script script;
  script.reorder = true;
  script.seed = random_.seed();
  script.delay = microseconds(50);
  script.cutBefore = 211;
  script.cutInside = 307;
  const auto server = makeServer(script);
  readFrom({server.get()}, 8, 150);
  EXPECT_GT(server->counts().connections, 5U) << "the connection was to be cut";
}

TEST_F(Dnbd3PropertyTest, EveryByteIsRightWhileThreeServersMisbehaveInTurns) {
  Dnbd3Script script;
  script.reorder = true;
  script.cutInside = 151;
  script.faultEvery = 97;
  script.fault = Dnbd3Script::Fault::wrongMagic;
  const auto first = makeServer(script);
  script.fault = Dnbd3Script::Fault::tooShort;
  const auto second = makeServer(script);
  script.fault = Dnbd3Script::Fault::unknownHandle;
  const auto third = makeServer(script);
  readFrom({first.get(), second.get(), third.get()}, 6, 150);
  // Whoever answers first is used, which need not be each of them once.
  int used = 0;
  for (const auto* const server : {first.get(), second.get(), third.get()}) {
    used += server->counts().replies > 0 ? 1 : 0;
  }
  EXPECT_GE(used, 2);
}

TEST_F(Dnbd3PropertyTest, StopInTheMiddleAnswersEachReadExactlyOnce) {
  for (int round = 0; round < 20; ++round) {
    Dnbd3Script script;
    script.reorder = true;
    script.cutInside = 40;
    const auto server = makeServer(script);
    const auto source = connect({server.get()});
    constexpr int kReads = 200;
    std::vector<std::vector<std::byte>> buffers(kReads, std::vector<std::byte>(4096));
    std::vector<std::atomic<int>> answers(kReads);
    std::jthread reading([&] {
      for (std::size_t i = 0; i < kReads; ++i) {
        source->read(buffers[i], i * 4096, [&answers, i](std::error_code) { ++answers[i]; });
      }
    });
    const std::uint64_t enough = random_.between(1, 150);
    ASSERT_TRUE(server->waitUntil([&](const auto& counts) { return counts.replies >= enough; }));
    source->stop();
    reading.join();
    for (const auto& count : answers) {
      ASSERT_EQ(count, 1);
    }
  }
}

}  // namespace
}  // namespace netcow::test
