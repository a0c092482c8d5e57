// SPDX-License-Identifier: Apache-2.0
#include "base/unique_function.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace netcow {
namespace {

/// Counts how many of it live; what a callable with it left behind shows in the count.
class Counted {
 public:
  explicit Counted(int& living) : living_(&living) { ++*living_; }
  Counted(const Counted& other) : living_(other.living_) { ++*living_; }
  Counted(Counted&& other) noexcept : living_(other.living_) { ++*living_; }
  Counted& operator=(const Counted&) = delete;
  Counted& operator=(Counted&&) = delete;
  ~Counted() { --*living_; }

 private:
  int* living_;
};

/// Padding that decides whether a callable is kept inside (48 bytes) or on the heap.
template <std::size_t Bytes>
using Padding = std::array<char, Bytes>;

template <std::size_t Bytes>
UniqueFunction<int(int)> makeAdder(int& living) {
  return [counted = Counted(living), padding = Padding<Bytes>{1}](int value) {
    return value + padding[0];
  };
}

template <class Size>
class UniqueFunctionOfSize : public testing::Test {};

template <std::size_t Bytes>
struct Size {
  static constexpr std::size_t kBytes = Bytes;
};
// With the pointer in Counted: 16, exactly 48, just above, and far above.
using Sizes = testing::Types<Size<8>, Size<40>, Size<41>, Size<4000>>;
TYPED_TEST_SUITE(UniqueFunctionOfSize, Sizes);

TYPED_TEST(UniqueFunctionOfSize, CallsWhatItHolds) {
  int living = 0;
  auto function = makeAdder<TypeParam::kBytes>(living);
  EXPECT_TRUE(function);
  EXPECT_EQ(function(41), 42);
  EXPECT_EQ(function(1), 2);
}

TYPED_TEST(UniqueFunctionOfSize, DestroysWhatItHoldsExactlyOnce) {
  int living = 0;
  {
    const auto function = makeAdder<TypeParam::kBytes>(living);
    EXPECT_EQ(living, 1);
  }
  EXPECT_EQ(living, 0);
}

TYPED_TEST(UniqueFunctionOfSize, MovingEmptiesTheOldOne) {
  int living = 0;
  auto first = makeAdder<TypeParam::kBytes>(living);
  auto second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_TRUE(second);
  EXPECT_EQ(second(1), 2);
  EXPECT_EQ(living, 1);
}

TYPED_TEST(UniqueFunctionOfSize, AssigningDestroysTheOldCallable) {
  int oldLiving = 0;
  int newLiving = 0;
  auto target = makeAdder<TypeParam::kBytes>(oldLiving);
  target = makeAdder<TypeParam::kBytes>(newLiving);
  EXPECT_EQ(oldLiving, 0);
  EXPECT_EQ(newLiving, 1);
  EXPECT_EQ(target(1), 2);
}

TYPED_TEST(UniqueFunctionOfSize, AssigningAnEmptyOneEmptiesIt) {
  int living = 0;
  auto target = makeAdder<TypeParam::kBytes>(living);
  target = UniqueFunction<int(int)>();
  EXPECT_FALSE(target);
  EXPECT_EQ(living, 0);
}

TYPED_TEST(UniqueFunctionOfSize, SurvivesBeingAssignedToItself) {
  int living = 0;
  auto function = makeAdder<TypeParam::kBytes>(living);
  auto& same = function;
  function = std::move(same);
  ASSERT_TRUE(function);
  EXPECT_EQ(function(1), 2);
  EXPECT_EQ(living, 1);
}

TEST(UniqueFunction, IsEmptyAtFirst) {
  EXPECT_FALSE(UniqueFunction<void()>());
}

TEST(UniqueFunction, HoldsWhatCannotBeCopied) {
  UniqueFunction<int()> function = [value = std::make_unique<int>(7)] { return *value; };
  auto moved = std::move(function);
  EXPECT_EQ(moved(), 7);
}

TEST(UniqueFunction, PassesArgumentsThatCanOnlyBeMoved) {
  UniqueFunction<int(std::unique_ptr<int>)> function = [](std::unique_ptr<int> value) {
    return *value;
  };
  EXPECT_EQ(function(std::make_unique<int>(9)), 9);
}

TEST(UniqueFunction, PassesReferencesAsReferences) {
  UniqueFunction<void(std::string&)> function = [](std::string& text) { text += "!"; };
  std::string text = "done";
  function(text);
  EXPECT_EQ(text, "done!");
}

TEST(UniqueFunction, KeepsStateBetweenCalls) {
  UniqueFunction<int()> next = [count = 0]() mutable { return ++count; };
  EXPECT_EQ(next(), 1);
  EXPECT_EQ(next(), 2);
}

TEST(UniqueFunction, LetsExceptionsThrough) {
  UniqueFunction<void()> function = [] { throw std::runtime_error("no"); };
  EXPECT_THROW(function(), std::runtime_error);
}

TEST(UniqueFunction, HoldsWhatMayThrowWhenMoved) {
  struct Throwing {
    Throwing() = default;
    Throwing(Throwing&& other) noexcept(false) : moves(other.moves + 1) {}
    int operator()() const { return moves; }
    int moves = 0;
  };
  static_assert(!std::is_nothrow_move_constructible_v<Throwing>);
  UniqueFunction<int()> function = Throwing();
  auto moved = std::move(function);
  EXPECT_EQ(moved(), 1);  // into the heap once; after that only the pointer moves
}

TEST(Completion, CarriesTheErrorCode) {
  std::error_code seen;
  Completion done = [&](std::error_code error) { seen = error; };
  done(std::make_error_code(std::errc::io_error));
  EXPECT_EQ(seen, std::errc::io_error);
}

}  // namespace
}  // namespace netcow
