// SPDX-License-Identifier: Apache-2.0
#include "source/prefetch/read_patterns.h"

#include <gtest/gtest.h>

#include <array>
#include <utility>
#include <vector>

#include "support/seeded_random.h"

namespace netcow::test {
namespace {

constexpr std::uint64_t kImage = std::uint64_t{1} << 30U;
constexpr std::uint64_t kBlock = 4096;

TEST(ReadPatterns, ThreeReadsInARowAreAStream) {
  ReadPatterns patterns(kImage);
  EXPECT_EQ(patterns.note(8192, kBlock), nullptr);
  EXPECT_EQ(patterns.note(12288, kBlock), nullptr);
  const ReadStream* const stream = patterns.note(16384, kBlock);
  ASSERT_NE(stream, nullptr);
  EXPECT_FALSE(stream->backward);
  EXPECT_EQ(stream->next, 20480U);
  EXPECT_EQ(stream->window, ReadStream::kSmallestWindow);
  const std::uint64_t id = stream->id;
  const ReadStream* const again = patterns.note(20480, 100);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->id, id);
  EXPECT_EQ(again->next, 20580U);
}

TEST(ReadPatterns, AReaderMayGoBackward) {
  ReadPatterns patterns(kImage);
  patterns.note(kImage - 4096, 4096);
  patterns.note(kImage - 12288, 8192);
  const ReadStream* const stream = patterns.note(kImage - 16384, 4096);
  ASSERT_NE(stream, nullptr);
  EXPECT_TRUE(stream->backward);
  EXPECT_EQ(stream->next, 16384U) << "bytes from the end";
}

TEST(ReadPatterns, RecordsOneDistanceApartAreAStreamForwardAndBackward) {
  for (const bool backward : {false, true}) {
    ReadPatterns patterns(kImage);
    const auto offset = [&](std::uint64_t n) {
      return backward ? kImage / 2 - n * 100'000 : n * 100'000;
    };
    for (std::uint64_t n = 0; n < 3; ++n) {
      EXPECT_EQ(patterns.note(offset(n), kBlock), nullptr);
    }
    const ReadStream* stream = patterns.note(offset(3), kBlock);
    ASSERT_NE(stream, nullptr);
    EXPECT_EQ(stream->backward, backward);
    EXPECT_EQ(stream->stride, 100'000U);
    EXPECT_EQ(stream->record, kBlock);
    stream = patterns.note(offset(5), kBlock);
    ASSERT_NE(stream, nullptr) << "one may be left out";
    EXPECT_EQ(patterns.note(offset(6), 2 * kBlock), nullptr) << "another length";
  }
}

TEST(ReadPatterns, ReadsThatAreSentTogetherMayArriveInAnyOrder) {
  SeededRandom random;
  constexpr std::uint64_t kRead = std::uint64_t{1} << 20U;
  constexpr std::uint64_t kTogether = 4;
  constexpr std::uint64_t kWindows = 50;
  constexpr std::uint64_t kRounds = 200;
  std::uint64_t known = 0;
  std::uint64_t streams = 0;
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    ReadPatterns patterns(kImage);
    for (std::uint64_t window = 0; window < kWindows; ++window) {
      std::array<std::uint64_t, kTogether> order{0, 1, 2, 3};
      std::swap(order.at(random.between(0, 3)), order.at(random.between(0, 3)));
      for (const std::uint64_t one : order) {
        known += patterns.note((window * kTogether + one) * kRead, kRead) != nullptr ? 1 : 0;
      }
    }
    streams += patterns.activeStreams();
  }
  // Some are found more than once, which costs nothing: nothing is fetched twice.
  EXPECT_GE(known, kRounds * kWindows * kTogether * 9 / 10);
  EXPECT_LE(streams, 3 * kRounds);
}

TEST(ReadPatterns, SeveralReadersAreToldApartAmongReadsAtRandom) {
  SeededRandom random;
  ReadPatterns patterns(kImage);
  struct Reader {
    std::uint64_t at;
    std::int64_t step;
    std::uint64_t known = 0;
  };
  std::vector<Reader> readers = {{0, 4096},
                                 {kImage / 8, 4096},
                                 {kImage / 2, -4096},
                                 {kImage / 4, 65'536},
                                 {kImage / 8 * 7, -40'960}};
  constexpr std::uint64_t kSteps = 500;
  std::uint64_t randomKnown = 0;
  for (std::uint64_t i = 0; i < kSteps; ++i) {
    for (Reader& reader : readers) {
      reader.known += patterns.note(reader.at, kBlock) != nullptr ? 1 : 0;
      reader.at += static_cast<std::uint64_t>(reader.step);
    }
    const std::uint64_t block = random.between(0, kImage / kBlock - 1);
    randomKnown += patterns.note(block * kBlock, kBlock) != nullptr ? 1 : 0;
  }
  for (const Reader& reader : readers) {
    EXPECT_GE(reader.known, kSteps * 9 / 10) << "step " << reader.step;
  }
  EXPECT_LE(randomKnown, kSteps / 50);
}

TEST(ReadPatterns, ReadsAtRandomAreNoStream) {
  SeededRandom random;
  ReadPatterns patterns(kImage);
  constexpr int kReads = 100'000;
  int known = 0;
  for (int i = 0; i < kReads; ++i) {
    known += patterns.note(random.between(0, kImage / kBlock - 1) * kBlock, kBlock) != nullptr;
  }
  EXPECT_LT(known, kReads / 2000);
}

TEST(ReadPatterns, AReaderThatBeginsToJumpAboutIsForgotten) {
  ReadPatterns patterns(kImage);
  for (std::uint64_t i = 0; i < 20; ++i) {
    patterns.note(i * kBlock, kBlock);
  }
  std::uint64_t at = 20 * kBlock;
  int followed = 0;
  while (patterns.note(at, kBlock) != nullptr && followed < 100) {
    at += 50 * kBlock + static_cast<std::uint64_t>(followed) * 512;
    ++followed;
  }
  EXPECT_LT(followed, 20);
}

TEST(ReadStream, TheWindowGrowsOncePerWindowAndShrinksToTheSmallest) {
  ReadStream stream;
  stream.window = ReadStream::kSmallestWindow;
  stream.grow(std::uint64_t{16} << 20U);
  stream.grow(std::uint64_t{16} << 20U);
  EXPECT_EQ(stream.window, 2 * ReadStream::kSmallestWindow) << "one cause, one growth";
  for (int i = 0; i < 20; ++i) {
    stream.consumed += stream.window;
    stream.grow(std::uint64_t{16} << 20U);
  }
  EXPECT_EQ(stream.window, std::uint64_t{16} << 20U);
  for (int i = 0; i < 20; ++i) {
    stream.shrink();
  }
  EXPECT_EQ(stream.window, ReadStream::kSmallestWindow);
}

}  // namespace
}  // namespace netcow::test
