// SPDX-License-Identifier: Apache-2.0
#include "session/session_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "session/session.h"
#include "session/simulated_folder.h"
#include "support/fake_clock.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kBaseSize = kTableSpan + 2 * kClusterSize + 1'000;

class SessionMapTest : public testing::Test {
 protected:
  SessionMapTest() {
    NewSession settings;
    settings.imageName = "image";
    settings.baseSize = kBaseSize;
    settings.maxImageSize = 3 * kTableSpan;
    session_ = Session::create(openSimulatedFolder(machine_), settings, clock_);
  }

  std::vector<ImageRange> map() {
    std::vector<ImageRange> ranges;
    mapSession(*openSimulatedFolder(machine_),
               [&ranges](const ImageRange& range) { ranges.push_back(range); });
    return ranges;
  }
  void write(std::uint64_t offset, std::uint64_t length) {
    EXPECT_FALSE(session_->write(std::vector<std::byte>(length, std::byte{9}), offset));
  }
  /// What is wrong with a range: its begin, end and every block are looked at.
  void verify(const ImageRange& range) {
    const std::uint64_t end = range.offset + range.length;
    for (std::uint64_t at = range.offset; at < end && !HasFailure();) {
      const Session::Run run = session_->runAt(at, end - at);
      switch (range.kind) {
        case RangeKind::local:
          EXPECT_TRUE(run.local) << at;
          break;
        case RangeKind::base:
          EXPECT_FALSE(run.local) << at;
          EXPECT_LE(at + run.length, session_->validRemoteSize());
          break;
        case RangeKind::zero:
          if (run.local) {
            std::vector<std::byte> content(run.length, std::byte{1});
            EXPECT_FALSE(session_->readData(content, run.dataOffset));
            EXPECT_TRUE(std::all_of(content.begin(), content.end(),
                                    [](std::byte byte) { return byte == std::byte{}; }));
          } else {
            EXPECT_GE(at, session_->validRemoteSize());
          }
      }
      at += run.length;
    }
  }

  SeededRandom random_;
  SimulatedMachine machine_{random_};
  FakeClock clock_;
  std::unique_ptr<Session> session_;
};

TEST_F(SessionMapTest, OfAFreshSessionIsItsBase) {
  const auto ranges = map();
  ASSERT_EQ(ranges.size(), 1U);
  EXPECT_EQ(ranges[0].offset, 0U);
  EXPECT_EQ(ranges[0].length, kBaseSize);
  EXPECT_EQ(ranges[0].kind, RangeKind::base);
}

TEST_F(SessionMapTest, JoinsNeighboursAcrossClusters) {
  write(kClusterSize - 2 * kBlockSize, 4 * kBlockSize);
  const auto ranges = map();
  ASSERT_EQ(ranges.size(), 3U);
  EXPECT_EQ(ranges[1].offset, kClusterSize - 2 * kBlockSize);
  EXPECT_EQ(ranges[1].length, 4 * kBlockSize);
}

TEST_F(SessionMapTest, CallsALocalBlockWithoutContentZero) {
  write(0, 3 * kBlockSize);
  EXPECT_FALSE(session_->zeroLocal(kBlockSize, kBlockSize));
  const auto ranges = map();
  ASSERT_EQ(ranges.size(), 4U);
  EXPECT_EQ(ranges[1].kind, RangeKind::zero);
  EXPECT_EQ(ranges[1].length, kBlockSize);
}

TEST_F(SessionMapTest, TellsTheByteWhereTheBaseEnds) {
  EXPECT_FALSE(session_->setSizes(2 * kTableSpan + 5, 12'345));
  const auto ranges = map();
  ASSERT_EQ(ranges.size(), 2U);
  EXPECT_EQ(ranges[0].length, 12'345U);
  EXPECT_EQ(ranges[1].length, 2 * kTableSpan + 5 - 12'345);
}

TEST_F(SessionMapTest, IsTrueOfEveryBlock) {
  for (int i = 0; i < 1'500 && !HasFailure(); ++i) {
    const std::uint64_t place = random_.between(0, 2) * kTableSpan +
                                random_.between(0, 2) * kClusterSize +
                                random_.between(0, 12) * kBlockSize;
    const std::uint64_t length = random_.between(1, 6) * kBlockSize;
    switch (random_.between(0, 4)) {
      case 0:
        EXPECT_FALSE(session_->zeroLocal(place, length));
        break;
      case 1:
        EXPECT_FALSE(session_->setSizes(
            random_.oneIn(4) ? random_.between(0, 3 * kTableSpan) : 3 * kTableSpan,
            random_.oneIn(8) ? place + random_.between(0, kBlockSize) : kBaseSize));
        break;
      default:
        write(place, length);
    }
    std::uint64_t end = 0;
    std::optional<RangeKind> before;
    for (const ImageRange& range : map()) {
      EXPECT_EQ(range.offset, end);
      EXPECT_GT(range.length, 0U);
      EXPECT_NE(before, range.kind);
      verify(range);
      end = range.offset + range.length;
      before = range.kind;
    }
    EXPECT_EQ(end, session_->imageSize());
  }
}

}  // namespace
}  // namespace netcow::test
