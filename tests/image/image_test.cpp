// SPDX-License-Identifier: Apache-2.0
#include "image/image.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cerrno>

#include "support/completion_result.h"
#include "support/held_source.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::HeldSource;
using test::TemporaryDirectory;

using Bytes = std::vector<std::byte>;
using Result = test::CompletionResult;

class ImageTest : public testing::Test {
 protected:
  void start(Bytes base) {
    NewSession settings;
    settings.imageName = "test";
    settings.baseSize = base.size();
    source_ = std::make_unique<HeldSource>(std::move(base));
    session_ = Session::create(temporary_ / "session", settings);
    image_ = std::make_unique<Image>(*source_, session_.get());
  }
  void answerAll() {
    while (source_->pending() > 0) {
      source_->answer(0);
    }
  }
  Bytes readNow(std::uint64_t offset, std::size_t length) {
    Bytes buffer(length, std::byte{0xEE});
    Result result;
    image_->read(buffer, offset, result.completion());
    answerAll();
    EXPECT_EQ(result.calls, 1);
    EXPECT_EQ(result.error, 0);
    return buffer;
  }
  void writeNow(const Bytes& bytes, std::uint64_t offset) {
    Result result;
    image_->write(bytes, offset, result.completion());
    answerAll();
    ASSERT_EQ(result.calls, 1);
    ASSERT_EQ(result.error, 0);
  }

  TemporaryDirectory temporary_;
  std::unique_ptr<HeldSource> source_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Image> image_;
};

Bytes repeated(std::size_t count, unsigned value) {
  return Bytes(count, static_cast<std::byte>(value));
}

TEST_F(ImageTest, TwoPartialWritesShareOneFill) {
  start(repeated(2 * kBlockSize, 1));
  const Bytes first = repeated(10, 2);
  const Bytes second = repeated(10, 3);
  Result a;
  Result b;
  image_->write(first, 0, a.completion());
  image_->write(second, 100, b.completion());
  EXPECT_EQ(source_->pending(), 1U);
  EXPECT_EQ(a.calls + b.calls, 0);
  source_->answer(0);
  EXPECT_EQ(a.calls, 1);
  EXPECT_EQ(b.calls, 1);
  Bytes expected = repeated(kBlockSize, 1);
  std::copy(first.begin(), first.end(), expected.begin());
  std::copy(second.begin(), second.end(), expected.begin() + 100);
  EXPECT_EQ(readNow(0, kBlockSize), expected);
}

TEST_F(ImageTest, AFillSaysThatItsNeighboursAreLikelyToBeNeeded) {
  start(repeated(200'000, 0xB5));
  writeNow(repeated(10, 1), 70'000);
  ASSERT_EQ(source_->hints().size(), 1U);
  EXPECT_EQ(source_->hints()[0], std::pair(std::uint64_t{69'632}, std::uint64_t{4096}));
  writeNow(repeated(4096, 2), 8192);
  writeNow(repeated(10, 3), 70'100);
  EXPECT_EQ(source_->hints().size(), 1U) << "nothing was missing";
  writeNow(repeated(10, 4), 199'000);
  ASSERT_EQ(source_->hints().size(), 2U);
  EXPECT_EQ(source_->hints()[1].first + source_->hints()[1].second, 200'000U);
  EXPECT_FALSE(source_->wasAskedOutOfRange());
}

TEST_F(ImageTest, AFillNeverOverwritesAWholeBlockWrittenMeanwhile) {
  start(repeated(kBlockSize, 1));
  const Bytes part = repeated(10, 2);
  const Bytes whole = repeated(kBlockSize, 3);
  Result slow;
  Result fast;
  image_->write(part, 50, slow.completion());
  image_->write(whole, 0, fast.completion());
  EXPECT_EQ(fast.calls, 1);
  EXPECT_EQ(slow.calls, 0);
  source_->answer(0);
  EXPECT_EQ(slow.calls, 1);
  Bytes expected = whole;
  std::copy(part.begin(), part.end(), expected.begin() + 50);
  EXPECT_EQ(readNow(0, kBlockSize), expected);
}

TEST_F(ImageTest, AFillDoesNotBringBackWhatAShrinkCutOff) {
  start(repeated(2 * kBlockSize, 1));
  const Bytes part = repeated(4, 2);
  Result result;
  image_->write(part, kBlockSize, result.completion());
  ASSERT_FALSE(image_->resize(kBlockSize + 8));
  ASSERT_FALSE(image_->resize(2 * kBlockSize));
  source_->answer(0);
  ASSERT_EQ(result.calls, 1);
  Bytes expected = repeated(kBlockSize, 0);
  std::fill_n(expected.begin(), 4, std::byte{2});
  std::fill_n(expected.begin() + 4, 4, std::byte{1});
  EXPECT_EQ(readNow(kBlockSize, kBlockSize), expected);
}

TEST_F(ImageTest, APartialWriteToTheLastVisibleBlockAfterAShrinkKeepsItsBasePart) {
  start(repeated(3 * kBlockSize, 1));
  ASSERT_FALSE(image_->resize(kBlockSize + 100));
  ASSERT_FALSE(image_->resize(3 * kBlockSize));
  writeNow(repeated(10, 2), kBlockSize + 200);
  Bytes expected = repeated(kBlockSize, 0);
  std::fill_n(expected.begin(), 100, std::byte{1});
  std::fill_n(expected.begin() + 200, 10, std::byte{2});
  EXPECT_EQ(readNow(kBlockSize, kBlockSize), expected);
}

TEST_F(ImageTest, GrowingOverBlocksThatWereLocalReadsZeros) {
  start(repeated(4 * kBlockSize, 1));
  writeNow(repeated(3 * kBlockSize, 5), kBlockSize);
  ASSERT_FALSE(image_->resize(kBlockSize + 10));
  ASSERT_FALSE(image_->resize(10 * kBlockSize));
  Bytes expected = repeated(9 * kBlockSize, 0);
  std::fill_n(expected.begin(), 10, std::byte{5});
  EXPECT_EQ(readNow(kBlockSize, 9 * kBlockSize), expected);
}

TEST_F(ImageTest, WritesBeyondTheEndGrowAndBeyondTheMaximumAreRefused) {
  start(repeated(100, 1));
  writeNow(repeated(5, 2), 5000);
  EXPECT_EQ(image_->size(), 5005U);
  Bytes expected = repeated(5005, 0);
  std::fill_n(expected.begin(), 100, std::byte{1});
  std::fill_n(expected.begin() + 5000, 5, std::byte{2});
  EXPECT_EQ(readNow(0, 5005), expected);
  Result result;
  const Bytes bytes = repeated(2, 2);
  image_->write(bytes, kDefaultMaxImageSize - 1, result.completion());
  EXPECT_EQ(result.error, EFBIG);
  EXPECT_EQ(image_->resize(kDefaultMaxImageSize + 1).value(), EFBIG);
  EXPECT_EQ(image_->size(), 5005U);
}

TEST_F(ImageTest, AWriteThatCannotBeStoredLeavesTheSizeAsItWas) {
  start(repeated(kBlockSize, 1));
  const Bytes bytes = repeated(2 * kBlockSize, 2);
  // The session's disk is full: no file may grow any more.
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit none = old;
  none.rlim_cur = 4096;
  ::setrlimit(RLIMIT_FSIZE, &none);
  Result result;
  image_->write(bytes, 10 * kBlockSize, result.completion());
  ::setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(result.calls, 1);
  EXPECT_NE(result.error, 0);
  EXPECT_EQ(image_->size(), kBlockSize);
  // There is room again.
  writeNow(bytes, 10 * kBlockSize);
  EXPECT_EQ(image_->size(), 12 * kBlockSize);
  EXPECT_EQ(readNow(10 * kBlockSize, 2 * kBlockSize), bytes);
}

TEST_F(ImageTest, AFailedFillFailsEveryWriteThatWaitedAndChangesNothing) {
  start(repeated(kBlockSize, 1));
  const Bytes bytes = repeated(10, 2);
  Result a;
  Result b;
  image_->write(bytes, 0, a.completion());
  image_->write(bytes, 20, b.completion());
  source_->answer(0, EIO);
  EXPECT_EQ(a.error, EIO);
  EXPECT_EQ(b.error, EIO);
  EXPECT_EQ(readNow(0, kBlockSize), repeated(kBlockSize, 1));
}

// --- zero, reserve, holes -------------------------------------------------------------------

TEST_F(ImageTest, AZeroOfPartsOfBlocksKeepsTheRestOfThem) {
  start(repeated(4 * kBlockSize, 1));
  Result result;
  image_->zero(100, 2 * kBlockSize, true, result.completion());
  EXPECT_EQ(result.calls, 0);
  EXPECT_EQ(source_->pending(), 2U) << "the first and the last block";
  EXPECT_TRUE(session_->isLocal(1));
  answerAll();
  EXPECT_EQ(result.calls, 1);
  EXPECT_EQ(result.error, 0);
  Bytes expected = repeated(4 * kBlockSize, 1);
  std::fill_n(expected.begin() + 100, 2 * kBlockSize, std::byte{0});
  EXPECT_EQ(readNow(0, 4 * kBlockSize), expected);
}

TEST_F(ImageTest, AZeroWithinOneBlockWaitsForIt) {
  start(repeated(kBlockSize, 1));
  Result result;
  image_->zero(10, 20, false, result.completion());
  EXPECT_EQ(result.calls, 0);
  source_->answer(0, EIO);
  EXPECT_EQ(result.error, EIO);
  EXPECT_EQ(readNow(0, kBlockSize), repeated(kBlockSize, 1));
}

TEST_F(ImageTest, AFillInFlightNeverUndoesAZero) {
  start(repeated(2 * kBlockSize, 1));
  const Bytes part = repeated(10, 2);
  Result slow;
  Result zeroed;
  image_->write(part, 50, slow.completion());
  image_->zero(0, 2 * kBlockSize, true, zeroed.completion());
  EXPECT_EQ(zeroed.calls, 1);
  source_->answer(0);
  EXPECT_EQ(slow.calls, 1);
  Bytes expected = repeated(2 * kBlockSize, 0);
  std::copy(part.begin(), part.end(), expected.begin() + 50);
  EXPECT_EQ(readNow(0, 2 * kBlockSize), expected);
}

TEST_F(ImageTest, AZeroKeepsOrRaisesTheSize) {
  start(repeated(kBlockSize + 100, 1));
  Result result;
  image_->zero(kBlockSize, 10 * kBlockSize, true, result.completion());
  EXPECT_EQ(result.calls, 1) << "the last block is covered as far as it reaches";
  EXPECT_EQ(image_->size(), kBlockSize + 100);
  image_->zero(kLargestImageSize, kBlockSize, true, result.completion());
  EXPECT_EQ(result.error, 0) << "nothing is there";
  image_->zero(2 * kBlockSize, 100, false, result.completion());
  EXPECT_EQ(image_->size(), 2 * kBlockSize + 100);
  Bytes expected = repeated(2 * kBlockSize + 100, 0);
  std::fill_n(expected.begin(), kBlockSize, std::byte{1});
  EXPECT_EQ(readNow(0, 2 * kBlockSize + 100), expected);
  image_->zero(kDefaultMaxImageSize - 10, 11, false, result.completion());
  EXPECT_EQ(result.error, EFBIG);
  image_->zero(100, UINT64_MAX, true, result.completion());
  EXPECT_EQ(result.error, EFBIG) << "beyond what a number can say";
  EXPECT_EQ(result.calls, 5);
}

TEST_F(ImageTest, AZeroThatGrowsShowsNothingOfWhatWasCutOff) {
  start(repeated(kBlockSize, 1));
  writeNow(repeated(4 * kBlockSize, 5), kBlockSize);
  ASSERT_FALSE(image_->resize(kBlockSize));
  Result result;
  image_->zero(4 * kBlockSize, kBlockSize, false, result.completion());
  EXPECT_EQ(result.error, 0);
  EXPECT_EQ(readNow(kBlockSize, 4 * kBlockSize), repeated(4 * kBlockSize, 0));
}

TEST_F(ImageTest, ReservingKeepsOrRaisesTheSizeAndTheContent) {
  start(repeated(kBlockSize + 100, 1));
  if (image_->reserve(0, kBlockSize, true).value() == EOPNOTSUPP) {
    GTEST_SKIP() << "this file system reserves nothing";
  }
  EXPECT_FALSE(image_->reserve(10 * kBlockSize, kBlockSize, true));
  EXPECT_EQ(image_->size(), kBlockSize + 100);
  EXPECT_FALSE(image_->reserve(2 * kBlockSize, 5, false));
  EXPECT_EQ(image_->size(), 2 * kBlockSize + 5);
  Bytes expected = repeated(2 * kBlockSize + 5, 0);
  std::fill_n(expected.begin(), kBlockSize + 100, std::byte{1});
  EXPECT_EQ(readNow(0, 2 * kBlockSize + 5), expected);
  EXPECT_EQ(image_->reserve(kDefaultMaxImageSize, 1, true).value(), EFBIG);
  EXPECT_EQ(image_->reserve(1, UINT64_MAX, true).value(), EFBIG);
}

TEST_F(ImageTest, AShrinkGivesTheSpaceBackAndKeepsWhatIsBefore) {
  start(repeated(kBlockSize, 1));
  writeNow(repeated(2 * kClusterSize, 5), 0);
  ASSERT_FALSE(image_->flush());
  ASSERT_FALSE(image_->resize(kClusterSize + 10));
  EXPECT_FALSE(session_->holdsSpaceBehindEnd());
  ASSERT_FALSE(image_->resize(2 * kClusterSize));
  Bytes expected = repeated(2 * kBlockSize, 0);
  std::fill_n(expected.begin(), kBlockSize + 10, std::byte{5});
  EXPECT_EQ(readNow(kClusterSize - kBlockSize, 2 * kBlockSize), expected);
}

TEST_F(ImageTest, AShrinkThatGivesNothingBackNeedsNoCheckpoint) {
  start(repeated(10 * kBlockSize, 1));
  writeNow(repeated(kBlockSize, 5), 0);
  ASSERT_FALSE(image_->flush());
  ASSERT_FALSE(image_->resize(2 * kBlockSize));
  EXPECT_TRUE(session_->needsCheckpoint()) << "nobody asked for one";
}

TEST_F(ImageTest, SeeksLikeLseek) {
  start(repeated(2 * kBlockSize + 10, 1));
  ASSERT_FALSE(image_->resize(100 * kBlockSize));
  std::uint64_t found = 0;
  EXPECT_FALSE(image_->findData(5, found));
  EXPECT_EQ(found, 5U);
  EXPECT_FALSE(image_->findHole(5, found));
  EXPECT_EQ(found, 3 * kBlockSize);
  EXPECT_EQ(image_->findData(found, found).value(), ENXIO) << "no data any more";
  EXPECT_EQ(image_->findHole(100 * kBlockSize, found).value(), ENXIO);
  EXPECT_EQ(image_->findData(100 * kBlockSize, found).value(), ENXIO);
  writeNow(repeated(10, 7), 99 * kBlockSize);
  EXPECT_FALSE(image_->findData(3 * kBlockSize, found));
  EXPECT_EQ(found, 99 * kBlockSize);
  EXPECT_FALSE(image_->findHole(found, found));
  EXPECT_EQ(found, 100 * kBlockSize) << "the end is a hole";
}

TEST(ReadOnlyImage, IsDataToItsEnd) {
  HeldSource source(repeated(5000, 1));
  Image image(source, nullptr);
  std::uint64_t found = 0;
  EXPECT_FALSE(image.findData(17, found));
  EXPECT_EQ(found, 17U);
  EXPECT_FALSE(image.findHole(17, found));
  EXPECT_EQ(found, 5000U);
  EXPECT_EQ(image.findData(5000, found).value(), ENXIO);
  EXPECT_EQ(image.reserve(0, 1, true).value(), EROFS);
  Result result;
  image.zero(0, 1, true, result.completion());
  EXPECT_EQ(result.error, EROFS);
}

TEST(ReadOnlyImage, RefusesChanges) {
  HeldSource source(repeated(5000, 1));
  Image image(source, nullptr);
  EXPECT_FALSE(image.writable());
  EXPECT_EQ(image.size(), 5000U);
  Result result;
  const Bytes bytes = repeated(1, 1);
  image.write(bytes, 0, result.completion());
  EXPECT_EQ(result.error, EROFS);
  EXPECT_EQ(image.resize(1).value(), EROFS);
  Bytes buffer(6000, std::byte{9});
  image.read(buffer, 0, result.completion());
  source.answer(0);
  Bytes expected = repeated(5000, 1);
  expected.resize(6000);
  EXPECT_EQ(buffer, expected);
}

}  // namespace
}  // namespace netcow
