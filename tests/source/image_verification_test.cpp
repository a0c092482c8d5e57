// SPDX-License-Identifier: Apache-2.0
#include "source/image_verification.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <thread>

#include "base/errors.h"
#include "support/checksummed_file.h"
#include "support/seeded_random.h"

namespace netcow::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kSpan = std::uint64_t{16} << 20U;
constexpr auto kOften = std::chrono::milliseconds(1);

enum class Fault { none, wrong, unreadable, held };

/// An image of zeros whose every span has a number at its beginning. A thread of its own answers
/// reads in random order; what is wrong with a span may change between two readings.
class FaultySource : public Source {
 public:
  FaultySource(std::uint64_t size, SeededRandom& random)
      : size_(size), random_(random.fork()), thread_([this] { answerAll(); }) {}
  ~FaultySource() override { stop(); }

  /// What happens at the first, the second... reading of a span.
  std::map<std::uint64_t, std::vector<Fault>> faults;

  [[nodiscard]] const ImageName& image() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override {
    MutexLock lock(mutex_);
    inFlight_ += buffer.size();
    mostInFlight_ = std::max(mostInFlight_, inFlight_);
    if (offset > size_ || buffer.size() > size_ - offset || stopped_) {
      inFlight_ -= buffer.size();
      lock.unlock();
      done(errnoCode(EIO));
      return;
    }
    reads_.push_back({buffer, offset, readings_[offset]++, std::move(done)});
    changed_.notifyAll();
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
  [[nodiscard]] std::string statusText() const override { return "faulty\n"; }

  [[nodiscard]] std::uint64_t mostInFlight() {
    const MutexLock lock(mutex_);
    return mostInFlight_;
  }
  /// What a sound image has.
  static std::vector<std::byte> spanContent(std::uint64_t span, std::uint64_t length) {
    std::vector<std::byte> content(length);
    const std::uint64_t number = span + 1;
    std::memcpy(content.data(), &number, sizeof number);
    return content;
  }

 private:
  struct Read {
    std::span<std::byte> buffer;
    std::uint64_t offset;
    std::size_t reading;
    Completion done;
  };
  [[nodiscard]] Fault faultOf(const Read& read) const {
    const auto found = faults.find(read.offset / kSpan);
    const bool has = found != faults.end() && read.reading < found->second.size();
    return has ? found->second[read.reading] : Fault::none;
  }
  /// Moves one that may be answered to the end; false if there is none.
  bool chooseRead() NETCOW_REQUIRES(mutex_) {
    std::vector<std::size_t> answerable;
    for (std::size_t i = 0; i < reads_.size(); ++i) {
      if (stopped_ || faultOf(reads_[i]) != Fault::held) {
        answerable.push_back(i);
      }
    }
    if (answerable.empty()) {
      return false;
    }
    std::swap(reads_[answerable[random_.between(0, answerable.size() - 1)]], reads_.back());
    return true;
  }
  void answerAll() {
    MutexLock lock(mutex_);
    for (;;) {
      if (!chooseRead()) {
        if (stopped_) {
          return;
        }
        changed_.wait(lock);
        continue;
      }
      Read read = std::move(reads_.back());
      reads_.pop_back();
      const bool fails = stopped_ || faultOf(read) == Fault::unreadable;
      inFlight_ -= read.buffer.size();
      lock.unlock();
      answer(read, fails);
      lock.lock();
    }
  }
  void answer(Read& read, bool fails) {
    if (fails) {
      read.done(errnoCode(EIO));
      return;
    }
    std::fill(read.buffer.begin(), read.buffer.end(), std::byte{0});
    if (read.offset % kSpan == 0) {
      const std::uint64_t number = read.offset / kSpan + 1;
      std::memcpy(read.buffer.data(), &number, sizeof number);
    }
    if (faultOf(read) == Fault::wrong) {
      read.buffer.back() ^= std::byte{0x10};
    }
    read.done({});
  }

  const ImageName name_{"faulty", 1};
  const std::uint64_t size_;
  SeededRandom random_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::vector<Read> reads_ NETCOW_GUARDED_BY(mutex_);
  std::map<std::uint64_t, std::size_t> readings_ NETCOW_GUARDED_BY(mutex_);
  std::uint64_t inFlight_ NETCOW_GUARDED_BY(mutex_) = 0;
  std::uint64_t mostInFlight_ NETCOW_GUARDED_BY(mutex_) = 0;
  bool stopped_ NETCOW_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

ChecksumList listOfImage(std::uint64_t size) {
  std::vector<std::uint32_t> checksums;
  for (std::uint64_t at = 0; at < size; at += kSpan) {
    const std::uint64_t length = std::min(kSpan, size - at);
    Crc32 crc;
    crc.add(FaultySource::spanContent(at / kSpan, (length + 4095) / 4096 * 4096));
    checksums.push_back(crc.value());
  }
  return ChecksumList::parse(checksumListOf(checksums)).value();
}

class ImageVerificationTest : public testing::Test {
 protected:
  VerificationReport verify(FaultySource& source) {
    const ChecksumList list = listOfImage(source.size());
    ImageVerification verification(source, list);
    return verification.run(kOften, [](const auto&) {});
  }
  SeededRandom random_;
};

TEST_F(ImageVerificationTest, FindsNothingInASoundImageOfAnySize) {
  for (const std::uint64_t size :
       {std::uint64_t{1}, kSpan - 1, kSpan, kSpan + 1, 3 * kSpan + 5000}) {
    FaultySource source(size, random_);
    const VerificationReport report = verify(source);
    EXPECT_TRUE(report.allGood()) << size;
    EXPECT_EQ(report.spans, (size + kSpan - 1) / kSpan);
    EXPECT_FALSE(report.stopped);
    EXPECT_THAT(report.onlyOnce, IsEmpty());
  }
}

TEST_F(ImageVerificationTest, CallsASpanBadOnlyWhenItDiffersTwice) {
  FaultySource source(5 * kSpan + 4096, random_);
  source.faults[1] = {Fault::wrong, Fault::wrong};
  source.faults[2] = {Fault::wrong};
  source.faults[3] = {Fault::unreadable, Fault::unreadable};
  source.faults[4] = {Fault::unreadable};
  source.faults[5] = {Fault::unreadable, Fault::wrong};
  const VerificationReport report = verify(source);
  EXPECT_FALSE(report.allGood());
  EXPECT_EQ(report.checked, 6U);
  EXPECT_THAT(report.bad, ElementsAre(1, 5));
  EXPECT_THAT(report.unreadable, ElementsAre(3));
  EXPECT_THAT(report.onlyOnce, ElementsAre(2, 4));
}

TEST_F(ImageVerificationTest, FindsWhatIsWrongWhereverItIs) {
  for (int round = 0; round < 4; ++round) {
    const std::uint64_t spans = random_.between(1, 9);
    FaultySource source((spans - 1) * kSpan + random_.between(1, 3) * 4096, random_);
    VerificationReport expected;
    for (std::uint64_t span = 0; span < spans; ++span) {
      const auto first = static_cast<Fault>(random_.between(0, 2));
      const auto second = static_cast<Fault>(random_.between(0, 2));
      source.faults[span] = {first, second};
      if (first != Fault::none) {
        auto& list = second == Fault::none    ? expected.onlyOnce
                     : second == Fault::wrong ? expected.bad
                                              : expected.unreadable;
        list.push_back(span);
      }
    }
    const VerificationReport report = verify(source);
    EXPECT_EQ(report.checked, spans);
    EXPECT_EQ(report.bad, expected.bad);
    EXPECT_EQ(report.unreadable, expected.unreadable);
    EXPECT_EQ(report.onlyOnce, expected.onlyOnce);
  }
}

TEST_F(ImageVerificationTest, ReadsSeveralSpansAtOnceAndNoMoreThanItHasMemoryFor) {
  FaultySource source(8 * kSpan, random_);
  EXPECT_TRUE(verify(source).allGood());
  EXPECT_GT(source.mostInFlight(), kSpan);
  EXPECT_LE(source.mostInFlight(), ImageVerification::kMostInFlight * kSpan);
}

TEST_F(ImageVerificationTest, TellsHowFarItIs) {
  FaultySource source(3 * kSpan, random_);
  source.faults[0] = {Fault::wrong, Fault::wrong};
  const ChecksumList list = listOfImage(source.size());
  ImageVerification verification(source, list);
  ImageVerification::Progress last;
  verification.run(kOften, [&last](const ImageVerification::Progress& progress) {
    EXPECT_GE(progress.bytes, last.bytes);
    last = progress;
  });
  EXPECT_EQ(last.size, 3 * kSpan);
  EXPECT_EQ(last.bytes, 3 * kSpan) << "the second reading is not counted";
  EXPECT_EQ(last.bad, 1U);
}

TEST_F(ImageVerificationTest, StoppedItKeepsWhatItFoundAndMakesNothingUp) {
  FaultySource source(8 * kSpan, random_);
  source.faults[0] = {Fault::wrong, Fault::wrong};
  source.faults[1] = {Fault::wrong, Fault::held};
  for (std::uint64_t span = 3; span < 8; ++span) {
    source.faults[span] = {Fault::held};
  }
  const ChecksumList list = listOfImage(source.size());
  ImageVerification verification(source, list);
  const VerificationReport report =
      verification.run(kOften, [&](const ImageVerification::Progress& progress) {
        if (progress.bad == 1 && progress.bytes == 3 * kSpan) {
          verification.stop();
        }
      });
  EXPECT_TRUE(report.stopped);
  EXPECT_FALSE(report.allGood());
  EXPECT_THAT(report.bad, ElementsAre(0));
  EXPECT_THAT(report.unreadable, IsEmpty());
  EXPECT_THAT(report.onlyOnce, IsEmpty());
  EXPECT_LE(report.checked, 2U) << "spans 0 and, if it was summed up in time, 2";
}

TEST_F(ImageVerificationTest, StoppedBeforeItBeganItChecksNothing) {
  FaultySource source(8 * kSpan, random_);
  const ChecksumList list = listOfImage(source.size());
  ImageVerification verification(source, list);
  verification.stop();
  const VerificationReport report = verification.run(kOften, [](const auto&) {});
  EXPECT_TRUE(report.stopped);
  EXPECT_EQ(report.checked, 0U);
  EXPECT_FALSE(report.allGood());
}

}  // namespace
}  // namespace netcow::test
