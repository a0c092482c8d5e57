// SPDX-License-Identifier: Apache-2.0
#include "base/keyed_hash.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace netcow {
namespace {

KeyedDigest digestOf(std::span<const std::byte> bytes, const HashKey& key, std::size_t piece) {
  KeyedHash hash(key);
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    hash.add(bytes.subspan(at, std::min(piece, bytes.size() - at)));
  }
  return hash.finish();
}

TEST(KeyedHash, IsGmac) {
  // The first test case of "The Galois/Counter Mode of Operation" by McGrew and Viega.
  constexpr std::array<unsigned char, 16> kTag = {0x58, 0xe2, 0xfc, 0xce, 0xfa, 0x7e, 0x30, 0x61,
                                                  0x36, 0x7f, 0x1d, 0x57, 0xa4, 0xe7, 0x45, 0x5a};
  const KeyedDigest digest = digestOf({}, HashKey{}, 1);
  for (std::size_t i = 0; i < digest.size(); ++i) {
    EXPECT_EQ(std::to_integer<unsigned char>(digest[i]), kTag[i]) << i;
  }
}

TEST(KeyedHash, IsTheSameHoweverContentIsCutAndHowOftenItBeginsAnew) {
  const HashKey key = randomHashKey();
  std::vector<std::byte> content(100'000);
  for (std::size_t i = 0; i < content.size(); ++i) {
    content[i] = static_cast<std::byte>(i * 7 + i / 256);
  }
  const KeyedDigest whole = digestOf(content, key, content.size());
  for (const std::size_t piece : {1U, 15U, 16U, 17U, 4096U, 65'536U}) {
    EXPECT_EQ(digestOf(content, key, piece), whole) << piece;
  }
  KeyedHash again(key);
  again.add(std::span(content).first(100));
  again.restart();
  again.add(content);
  EXPECT_EQ(again.finish(), whole);
}

TEST(KeyedHash, TellsContentsOfOneBitAndOfOneByteMoreApart) {
  const HashKey key = randomHashKey();
  std::vector<std::byte> content(300);
  std::set<KeyedDigest> digests = {digestOf(content, key, 300), digestOf(content, key, 300)};
  EXPECT_EQ(digests.size(), 1U);
  for (std::size_t bit = 0; bit < content.size() * 8; ++bit) {
    content[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    digests.insert(digestOf(content, key, 64));
    content[bit / 8] = {};
  }
  content.emplace_back();
  digests.insert(digestOf(content, key, 64));
  EXPECT_EQ(digests.size(), 300U * 8 + 2);
  EXPECT_NE(digestOf(content, randomHashKey(), 64), digestOf(content, key, 64));
}

}  // namespace
}  // namespace netcow
