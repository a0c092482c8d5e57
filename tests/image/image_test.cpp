// SPDX-License-Identifier: Apache-2.0
#include "image/image.h"

#include <gtest/gtest.h>

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
