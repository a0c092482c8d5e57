// SPDX-License-Identifier: Apache-2.0
// Reads that must not wait for ever.
#include <gmock/gmock.h>

#include <atomic>
#include <cerrno>
#include <list>

#include "source/dnbd3/proxied_fixture.h"
#include "support/seeded_random.h"

namespace netcow::test {
namespace {

using std::chrono::milliseconds;

/// A read whose buffer belongs to somebody else as soon as it was answered.
class WatchedRead {
 public:
  WatchedRead(Source& source, std::size_t size, std::uint64_t offset)
      : buffer_(size, std::byte{0xAA}), offset_(offset) {
    source.read(buffer_, offset, [this](std::error_code error) {
      error_ = toErrno(error);
      answered_ = buffer_;
      ++answers_;
      answers_.notify_all();
    });
  }
  int wait() {
    answers_.wait(0);
    return error_;
  }
  /// What is wrong, once no completion can run any more.
  [[nodiscard]] std::string complaint() const {
    if (answers_ != 1) {
      return "answered " + std::to_string(answers_) + " times";
    }
    if (buffer_ != answered_) {
      return "written after it was answered";
    }
    if (error_ == 0) {
      return matchesPattern(buffer_, offset_) ? "" : "wrong bytes";
    }
    return error_ == EIO ? "" : "error " + std::to_string(error_);
  }

 private:
  std::vector<std::byte> buffer_;
  std::vector<std::byte> answered_;
  std::uint64_t offset_;
  int error_ = 0;
  std::atomic<int> answers_ = 0;
};

class Dnbd3Timeout : public ProxiedFixture {
 protected:
  Dnbd3Timeout() { options_.ioTimeout = milliseconds(50); }
};

TEST_F(Dnbd3Timeout, ReadsOfAServerThatHangsFailAndTheConnectionStays) {
  const auto server = makeServer();
  FaultProxy proxy(server->port());
  const auto source = connectThrough({&proxy});
  proxy.setFaults({.silent = true});
  std::list<WatchedRead> late;
  for (std::uint64_t i = 0; i < 300; ++i) {
    late.emplace_back(*source, 10'000, i * 10'000);
  }
  for (WatchedRead& read : late) {
    EXPECT_EQ(read.wait(), EIO);
  }
  proxy.setFaults({});
  // The late answers come first. A read may still be too late on a busy machine.
  int error = EIO;
  for (int i = 0; i < 100 && error == EIO; ++i) {
    error = PendingRead(*source, 4096, 0).wait();
  }
  EXPECT_EQ(error, 0);
  source->stop();
  for (const WatchedRead& read : late) {
    EXPECT_EQ(read.complaint(), "");
  }
  EXPECT_EQ(proxy.counts().connections, 1U);
}

TEST_F(Dnbd3Timeout, AReadThatIsHalfThereIsNotWrittenAnyMore) {
  const auto server = makeServer();
  FaultProxy proxy(server->port(), {.bytesPerSecond = 2'000'000});
  const auto source = connectThrough({&proxy});
  WatchedRead read(*source, 700'000, 4096);
  EXPECT_EQ(read.wait(), EIO);
  const auto before = proxy.counts().toClient;
  ASSERT_TRUE(proxy.waitUntil(
      [&](const FaultProxy::Counts& now) { return now.toClient > before + 100'000; }));
  source->stop();
  EXPECT_EQ(read.complaint(), "");
}

TEST_F(Dnbd3Timeout, WithoutAnyServerReadsFailToo) {
  const auto server = makeServer();
  const auto source = connect({server.get()});
  server->stop();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(PendingRead(*source, 300'000, 0).wait(), EIO);
  }
  server->start();
  int error = EIO;
  for (int i = 0; i < 100 && error == EIO; ++i) {
    error = PendingRead(*source, 4096, 0).wait();
  }
  EXPECT_EQ(error, 0);
}

// Whatever the network does, each read is answered once, and its memory left alone from then on.
TEST_F(Dnbd3Timeout, NoReadIsWrittenAfterItWasAnsweredWhateverTheNetworkDoes) {
  SeededRandom random;
  options_.ioTimeout = milliseconds(10);
  options_.timing.lateAfter = milliseconds(15);
  const auto server = makeServer();
  FaultProxy first(server->port());
  FaultProxy second(server->port());
  const auto source = connectThrough({&first, &second});
  std::list<WatchedRead> started;
  for (int round = 0; round < 60; ++round) {
    NetworkFaults faults;
    faults.silent = random.oneIn(3);
    faults.reorder = random.oneIn(3);
    faults.bytesPerSecond = random.oneIn(3) ? random.between(1, 40) * 1'000'000 : 0;
    (random.oneIn(2) ? first : second).setFaults(faults);
    if (random.oneIn(10)) {
      (random.oneIn(2) ? first : second).cut();
    }
    for (int i = 0; i < 20; ++i) {
      const std::uint64_t size = random.between(1, random.oneIn(4) ? 600'000 : 8'000);
      started.emplace_back(*source, size, random.between(0, kSize - size));
    }
    started.back().wait();
  }
  source->stop();
  for (const WatchedRead& read : started) {
    ASSERT_EQ(read.complaint(), "");
  }
}

}  // namespace
}  // namespace netcow::test
