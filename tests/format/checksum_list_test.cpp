// SPDX-License-Identifier: Apache-2.0
#include "format/checksum_list.h"

#include <gtest/gtest.h>

#include <string_view>

namespace netcow {
namespace {

using Bytes = std::vector<std::byte>;

Bytes listOf(std::initializer_list<std::uint32_t> numbers) {
  Bytes bytes;
  for (std::uint32_t number : numbers) {
    for (int i = 0; i < 4; ++i, number >>= 8U) {
      bytes.push_back(static_cast<std::byte>(number & 0xFFU));
    }
  }
  return bytes;
}

// zlib's crc32() of the bytes 44 33 22 11 88 77 66 55.
constexpr std::uint32_t kChecksumOfTwo = 0x176F3FE5;

TEST(Crc32Test, IsTheOneOfZlib) {
  // The check value that every description of this CRC gives.
  Crc32 crc;
  crc.add(std::as_bytes(std::span(std::string_view("123456789"))));
  EXPECT_EQ(crc.value(), 0xCBF43926U);
  EXPECT_EQ(Crc32().value(), 0U);
}

TEST(Crc32Test, IsTheSameInParts) {
  Crc32 crc;
  crc.add(std::as_bytes(std::span(std::string_view("1234"))));
  crc.add({});
  crc.add(std::as_bytes(std::span(std::string_view("56789"))));
  EXPECT_EQ(crc.value(), 0xCBF43926U);
}

TEST(ChecksumListOfAnImage, HasOneNumberMoreThanTheImageHasSpans) {
  EXPECT_EQ(ChecksumList::bytesFor(0), 4U);
  EXPECT_EQ(ChecksumList::bytesFor(1), 8U);
  EXPECT_EQ(ChecksumList::bytesFor(16'777'216), 8U);
  EXPECT_EQ(ChecksumList::bytesFor(16'777'217), 12U);
  EXPECT_EQ(ChecksumList::bytesFor(std::uint64_t{16} << 40U), 4'194'308U);
}

TEST(ChecksumListOfAnImage, TellsTheChecksumOfEverySpan) {
  const auto list = ChecksumList::parse(listOf({kChecksumOfTwo, 0x11223344, 0x55667788}));
  ASSERT_TRUE(list);
  ASSERT_EQ(list->spans(), 2U);
  EXPECT_EQ(list->checksum(0), 0x11223344U);
  EXPECT_EQ(list->checksum(1), 0x55667788U);
}

TEST(ChecksumListOfAnImage, IsRefusedUnlessItsOwnChecksumIsRight) {
  EXPECT_FALSE(ChecksumList::parse(listOf({kChecksumOfTwo, 0x11223344, 0x55667789})));
  EXPECT_FALSE(ChecksumList::parse(listOf({kChecksumOfTwo + 1, 0x11223344, 0x55667788})));
  EXPECT_FALSE(ChecksumList::parse(listOf({kChecksumOfTwo, 0x11223344})));
}

TEST(ChecksumListOfAnImage, IsRefusedWhenItIsNoWholeNumbers) {
  EXPECT_FALSE(ChecksumList::parse({}));
  Bytes bytes = listOf({kChecksumOfTwo, 0x11223344, 0x55667788});
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(ChecksumList::parse(bytes));
}

}  // namespace
}  // namespace netcow
