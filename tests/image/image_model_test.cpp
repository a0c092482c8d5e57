// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "image/image.h"
#include "support/completion_result.h"
#include "support/plain_image.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::SeededRandom;
using test::TemporaryDirectory;

using Bytes = std::vector<std::byte>;
using Result = test::CompletionResult;

/// Random reads, writes, zeroing, reserving, seeks and resizes against a plain buffer, with a base
/// that answers late and out of order. Operations are in flight together unless their bytes
/// overlap: two partial writes to one block, its fill, a zero of a part of it and a read of its
/// neighbour meet all the time.
class ImageModel {
  // A border of two tables and an odd end lie inside, and the base is not zeros.
  static constexpr std::uint64_t kBaseSize = kTableSpan + 2 * kClusterSize + 1234;
  static constexpr std::array kFocus = {std::uint64_t{0},          kClusterSize,
                                        kTableSpan - kClusterSize, kTableSpan,
                                        kTableSpan + kClusterSize, kBaseSize};
  /// Operations stay this near to a place of kFocus, in bytes.
  static constexpr std::uint64_t kSurroundings = 96'000;

 public:
  ImageModel(const std::string& directory, SeededRandom& random) : random_(random) {
    directory_ = directory;
    NewSession settings;
    settings.imageName = "model";
    settings.baseSize = kBaseSize;
    session_ = Session::create(directory_, settings);
    image_ = std::make_unique<Image>(base_, session_.get());
    for (const std::uint64_t center : kFocus) {
      const std::uint64_t begin = center > kSurroundings ? center - kSurroundings : 0;
      for (std::uint64_t i = begin; i < std::min(kBaseSize, center + kSurroundings); ++i) {
        content_.bytes(i, 1)[0] = base_.byteAt(i);
      }
    }
  }

  void run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      switch (random_.between(0, 24)) {
        case 0:
          resize();
          break;
        case 1:
          if (random_.oneIn(20)) {
            reopen();
          }
          break;
        case 2:
        case 3:
        case 4:
        case 5:
        case 6:
          answerSome();
          break;
        case 7:
        case 8:
        case 9:
        case 10:
          read();
          break;
        case 11:
        case 12:
        case 13:
          zero();
          break;
        case 14:
          seek();
          break;
        case 15:
          if (random_.oneIn(4)) {
            reserve();
          }
          break;
        default:
          write();
      }
      dropEnded();
    }
    drain();
    checkAll();
  }

 private:
  /// Answers from a formula, held until asked.
  class FormulaSource : public Source {
   public:
    [[nodiscard]] static std::byte byteAt(std::uint64_t offset) {
      return test::patternByte(offset);
    }
    [[nodiscard]] const ImageName& image() const override { return name_; }
    [[nodiscard]] std::uint64_t size() const override { return kBaseSize; }
    void read(std::span<std::byte> buffer, std::uint64_t offset, Completion done) override {
      held_.push_back({buffer, offset, std::move(done)});
    }
    void stop() override {}
    [[nodiscard]] std::string statusText() const override { return {}; }
    [[nodiscard]] std::size_t pending() const { return held_.size(); }
    void answer(std::size_t n) {
      Held one = std::move(held_[n]);
      held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(n));
      for (std::size_t i = 0; i < one.buffer.size(); ++i) {
        one.buffer[i] = byteAt(one.offset + i);
      }
      one.done({});
    }

   private:
    struct Held {
      std::span<std::byte> buffer;
      std::uint64_t offset;
      Completion done;
    };
    std::vector<Held> held_;
    ImageName name_{"model", 1};
  };

  struct Operation {
    bool isWrite;
    std::uint64_t offset;
    Bytes bytes;     ///< to write, or the buffer read into
    Bytes expected;  ///< of a read
    Result result;
  };

  std::uint64_t someOffset() {
    const std::uint64_t center = kFocus[random_.between(0, kFocus.size() - 1)];
    const std::uint64_t spread = random_.oneIn(4) ? 3 * kBlockSize : 6000;
    const std::uint64_t low = center > spread ? center - spread : 0;
    return random_.between(low, center + spread);
  }
  std::uint64_t someLength() {
    return random_.oneIn(10) ? random_.between(0, 40'000) : random_.between(0, 5000);
  }
  [[nodiscard]] bool overlapsPending(std::uint64_t offset, std::uint64_t length, bool isWrite) {
    return std::any_of(pending_.begin(), pending_.end(), [&](const auto& other) {
      const bool apart =
          other->offset + other->bytes.size() <= offset || offset + length <= other->offset;
      return !apart && (isWrite || other->isWrite);
    });
  }

  void write() {
    const std::uint64_t offset = someOffset();
    const std::uint64_t length = someLength();
    if (overlapsPending(offset, length, true)) {
      return;
    }
    auto operation = std::make_unique<Operation>();
    operation->isWrite = true;
    operation->offset = offset;
    operation->bytes = random_.bytes(length);
    if (length > 0 && offset + length > content_.size()) {
      drain();  // a write that grows the image meets nothing in flight behind the end
    }
    content_.write(operation->bytes, offset);
    image_->write(operation->bytes, offset, operation->result.completion());
    pending_.push_back(std::move(operation));
  }

  void zero() {
    const std::uint64_t offset = random_.oneIn(3) ? roundDown(someOffset(), 4096) : someOffset();
    const std::uint64_t length = random_.oneIn(3) ? someLength() * 4 : someLength();
    const bool keepSize = random_.oneIn(2);
    if (overlapsPending(offset, length, true)) {
      return;
    }
    std::uint64_t end = offset + length;
    if (length > 0 && end > content_.size()) {
      drain();
    }
    end = keepSize ? std::min(end, content_.size()) : end;
    auto operation = std::make_unique<Operation>();
    operation->isWrite = true;
    operation->offset = offset;
    operation->bytes.resize(length);
    if (end > offset) {
      content_.write(Bytes(end - offset), offset);
    }
    image_->zero(offset, length, keepSize, operation->result.completion());
    ASSERT_EQ(image_->size(), content_.size());
    pending_.push_back(std::move(operation));
  }

  /// Not every file system can; where it cannot, nothing may change either.
  void reserve() {
    const std::uint64_t offset = someOffset();
    const std::uint64_t length = someLength();
    const bool keepSize = random_.oneIn(2);
    if (!keepSize && length > 0 && offset + length > content_.size()) {
      drain();
    }
    const auto error = image_->reserve(offset, length, keepSize);
    ASSERT_TRUE(!error || error.value() == EOPNOTSUPP) << error.message();
    if (!error && !keepSize && length > 0) {
      content_.resize(std::max(content_.size(), offset + length));
    }
    ASSERT_EQ(image_->size(), content_.size());
  }

  /// What is called a hole is zeros; what is called data begins and ends where the other says.
  void seek() {
    drain();
    std::uint64_t at = someOffset();
    for (int i = 0; i < 5; ++i) {
      std::uint64_t data = 0;
      const auto error = image_->findData(at, data);
      const std::uint64_t holeEnd = error ? content_.size() : data;
      ASSERT_TRUE(!error || error.value() == ENXIO);
      ASSERT_TRUE(error || (data >= at && data < content_.size()));
      const std::uint64_t near = std::min(holeEnd, at + kSurroundings);
      const auto hidden = content_.bytes(at, near > at ? near - at : 0);
      ASSERT_TRUE(std::all_of(hidden.begin(), hidden.end(),
                              [](std::byte byte) { return byte == std::byte{0}; }))
          << "a hole that holds something at or behind " << at;
      std::uint64_t hole = 0;
      if (error) {
        ASSERT_EQ(image_->findHole(at, hole).value(), at < content_.size() ? 0 : ENXIO);
        return;
      }
      ASSERT_FALSE(image_->findHole(at, hole));
      ASSERT_TRUE(data > at ? hole == at : hole > at);
      ASSERT_FALSE(image_->findHole(data, hole));
      ASSERT_GT(hole, data);
      ASSERT_LE(hole, content_.size());
      at = hole;
    }
  }

  void read() {
    const std::uint64_t offset = someOffset();
    const std::uint64_t length = someLength();
    if (overlapsPending(offset, length, false)) {
      return;
    }
    auto operation = std::make_unique<Operation>();
    operation->isWrite = false;
    operation->offset = offset;
    operation->bytes.assign(length, std::byte{0xEE});
    operation->expected.resize(length);
    for (std::uint64_t i = 0; i < length && offset + i < content_.size(); ++i) {
      operation->expected[i] = content_.bytes(offset + i, 1)[0];
    }
    image_->read(operation->bytes, offset, operation->result.completion());
    pending_.push_back(std::move(operation));
  }

  void resize() {
    const std::uint64_t size = someOffset();
    const std::uint64_t before = content_.size();
    const std::uint64_t kept = std::min(size, before);
    // What is in flight below stays so, also in the block that is cut.
    if (overlapsPending(kept, kLargestImageSize, true)) {
      drain();
    }
    ASSERT_FALSE(image_->resize(size));
    content_.resize(size);
    ASSERT_EQ(image_->size(), size);
    if (size < before) {
      ASSERT_FALSE(session_->holdsSpaceBehindEnd());
    }
  }

  void reopen() {
    drain();
    image_.reset();
    if (random_.oneIn(2)) {
      ASSERT_FALSE(session_->close());
    }
    session_.reset();
    session_ = Session::open(directory_);
    image_ = std::make_unique<Image>(base_, session_.get());
    ASSERT_EQ(image_->size(), content_.size());
  }

  void answerSome() {
    for (std::uint64_t n = random_.between(0, 4); n > 0 && base_.pending() > 0; --n) {
      base_.answer(random_.between(0, base_.pending() - 1));
    }
  }
  void drain() {
    while (base_.pending() > 0) {
      base_.answer(random_.between(0, base_.pending() - 1));
    }
    dropEnded();
    ASSERT_TRUE(pending_.empty()) << "an operation never ended";
  }
  void dropEnded() {
    std::erase_if(pending_, [](const auto& operation) {
      if (operation->result.calls == 0) {
        return false;
      }
      EXPECT_EQ(operation->result.calls, 1);
      EXPECT_EQ(operation->result.error, 0);
      if (!operation->isWrite) {
        EXPECT_TRUE(operation->bytes == operation->expected) << "read at " << operation->offset;
      }
      return true;
    });
  }
  void checkAll() {
    for (const std::uint64_t center : kFocus) {
      const std::uint64_t begin = center > kSurroundings ? center - kSurroundings : 0;
      Bytes buffer(2 * kSurroundings);
      Result result;
      image_->read(buffer, begin, result.completion());
      drain();
      ASSERT_EQ(result.calls, 1);
      const auto expected = content_.bytes(begin, buffer.size());
      ASSERT_TRUE(std::equal(buffer.begin(), buffer.end(), expected.begin())) << "near " << center;
    }
  }

  SeededRandom& random_;
  std::string directory_;
  FormulaSource base_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Image> image_;
  test::PlainImage content_{4 * kTableSpan, kBaseSize};
  std::vector<std::unique_ptr<Operation>> pending_;
};

TEST(ImageModelTest, AgreesWithAPlainBufferWhenTheBaseAnswersLateAndOutOfOrder) {
  SeededRandom random;
  const TemporaryDirectory temporary;
  ImageModel model(temporary / "session", random);
  model.run(12'000);
}

}  // namespace
}  // namespace netcow
