// SPDX-License-Identifier: Apache-2.0
#include "base/byte_order.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <limits>

namespace netcow {
namespace {

template <class T>
auto bytesOf(const T& value) {
  return std::bit_cast<std::array<unsigned char, sizeof(T)>>(value);
}

TEST(ByteOrder, SwapReversesTheBytes) {
  EXPECT_EQ(swapBytes<std::uint16_t>(0x1234), 0x3412);
  EXPECT_EQ(swapBytes<std::uint32_t>(0x12345678), 0x78563412U);
  EXPECT_EQ(swapBytes<std::uint64_t>(0x0102030405060708), 0x0807060504030201U);
  EXPECT_EQ(swapBytes<std::uint8_t>(0x7F), 0x7F);
}

TEST(ByteOrder, SwapTakesSignedNumbers) {
  EXPECT_EQ(swapBytes<std::int32_t>(1), 0x01000000);
  EXPECT_EQ(swapBytes<std::int32_t>(-1), -1);
}

TEST(LittleEndian, StoresTheLeastSignificantByteFirst) {
  using Bytes4 = std::array<unsigned char, 4>;
  using Bytes8 = std::array<unsigned char, 8>;
  EXPECT_EQ(bytesOf(LittleEndian<std::uint32_t>(0xA1B2C3D4)), (Bytes4{0xD4, 0xC3, 0xB2, 0xA1}));
  EXPECT_EQ(bytesOf(LittleEndian<std::int32_t>(-2)), (Bytes4{0xFE, 0xFF, 0xFF, 0xFF}));
  EXPECT_EQ(bytesOf(LittleEndian<std::uint64_t>(0x0102030405060708)),
            (Bytes8{8, 7, 6, 5, 4, 3, 2, 1}));
}

TEST(LittleEndian, IsZeroUnlessSet) {
  const LittleEndian<std::uint64_t> value;
  EXPECT_EQ(value, 0U);
}

TEST(LittleEndian, GivesBackWhatItWasGiven) {
  LittleEndian<std::int64_t> value;
  for (const std::int64_t number :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 40,
        std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
    value = number;
    EXPECT_EQ(value, number);
  }
}

TEST(LittleEndian, NeedsNoAlignmentAndNoPadding) {
  struct Odd {
    LittleEndian<std::uint8_t> first;
    LittleEndian<std::uint64_t> second;
    LittleEndian<std::uint16_t> third;
  };
  EXPECT_EQ(sizeof(Odd), 11U);
  EXPECT_EQ(alignof(Odd), 1U);
}

}  // namespace
}  // namespace netcow
