// SPDX-License-Identifier: Apache-2.0
#include "format/session_files.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

// The bytes here are written by hand from docs/formats/session.md, never taken from the code.
namespace netcow {
namespace {

using Bytes = std::vector<unsigned char>;

template <class T>
Bytes bytesOf(const T& record) {
  Bytes bytes(sizeof(T));
  std::memcpy(bytes.data(), &record, sizeof(T));
  return bytes;
}

void append(Bytes& bytes, const Bytes& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

void appendText(Bytes& bytes, const std::string& text, std::size_t length) {
  bytes.insert(bytes.end(), text.begin(), text.end());
  bytes.insert(bytes.end(), length - text.size(), 0);
}

const std::string kUuid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

/// The header of a session as the reference client would write it, but for the block size.
MetaHeader makeHeader() {
  MetaHeader header;
  header.magic = 0xEBE44D6E72F7825E;
  header.imageSize = 5'000'000'000;
  header.version = 3;
  header.blockSize = 4096;
  header.validRemoteSize = 4'294'967'296;
  header.startL1 = 320;
  header.startL2 = 65'536;
  header.bitfieldSize = 40;
  header.nextL2 = 3;
  header.metaSize = 48'955'392;
  header.nextClusterOffset = 2'621'440;
  header.maxImageSize = 1'000'000'000'000;
  header.creationTime = 1'700'000'000;
  std::memcpy(header.uuid, kUuid.data(), kUuid.size());
  std::memcpy(header.imageName, "demo", 4);
  return header;
}
constexpr std::uint64_t kMetaSize = 48'955'392;

Bytes makeHeaderBytes() {
  Bytes bytes = {
      0x5E, 0x82, 0xF7, 0x72, 0x6E, 0x4D, 0xE4, 0xEB,  // magic
      0x00, 0xF2, 0x05, 0x2A, 0x01, 0x00, 0x00, 0x00,  // image size
      0x03, 0x00, 0x00, 0x00,                          // version
      0x00, 0x10, 0x00, 0x00,                          // block size
      0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,  // valid remote size
      0x40, 0x01, 0x00, 0x00,                          // start of L1
      0x00, 0x00, 0x01, 0x00,                          // start of L2
      0x28, 0x00, 0x00, 0x00,                          // bitfield size
      0x03, 0x00, 0x00, 0x00,                          // next L2
      0x00, 0x00, 0xEB, 0x02, 0x00, 0x00, 0x00, 0x00,  // meta size
      0x00, 0x00, 0x28, 0x00, 0x00, 0x00, 0x00, 0x00,  // next cluster offset
      0x00, 0x10, 0xA5, 0xD4, 0xE8, 0x00, 0x00, 0x00,  // maximum image size
      0x00, 0xF1, 0x53, 0x65, 0x00, 0x00, 0x00, 0x00,  // creation time
  };
  appendText(bytes, kUuid, 40);
  appendText(bytes, "demo", 200);
  return bytes;
}

TEST(MetaHeader, HasTheBytesOfTheFormat) {
  ASSERT_EQ(makeHeaderBytes().size(), 320U);
  EXPECT_EQ(bytesOf(makeHeader()), makeHeaderBytes());
}

TEST(MetaHeader, IsReadFromTheBytesOfTheFormat) {
  MetaHeader header;
  std::memcpy(&header, makeHeaderBytes().data(), sizeof header);
  EXPECT_EQ(header.magic, kMetaMagic);
  EXPECT_EQ(header.imageSize, 5'000'000'000U);
  EXPECT_EQ(header.version, kSessionVersion);
  EXPECT_EQ(header.validRemoteSize, 4'294'967'296U);
  EXPECT_EQ(header.startL1, kStartL1);
  EXPECT_EQ(header.startL2, 65'536U);
  EXPECT_EQ(header.bitfieldSize, kBitfieldSize);
  EXPECT_EQ(header.nextL2, 3);
  EXPECT_EQ(header.metaSize, 48'955'392);
  EXPECT_EQ(header.nextClusterOffset, 2'621'440);
  EXPECT_EQ(header.maxImageSize, kDefaultMaxImageSize);
  EXPECT_EQ(header.creationTime, 1'700'000'000U);
  EXPECT_EQ(header.uuid, kUuid);
  EXPECT_STREQ(header.imageName, "demo");
}

TEST(DataFile, BeginsWithItsMagicAndKeepsACluster) {
  EXPECT_EQ(bytesOf(LittleEndian<std::uint64_t>(kDataMagic)),
            (Bytes{0x5F, 0x82, 0xF7, 0x72, 0x6E, 0x4D, 0xE4, 0xEB}));
  EXPECT_EQ(kFirstClusterOffset, 1'310'720U);
}

TEST(ClusterEntry, HasTheBytesOfTheFormat) {
  ClusterEntry entry;
  entry.dataOffset = 1'310'720;
  entry.timeChanged = 1'700'000'000;
  entry.uploads = 258;
  entry.fails = 2;
  entry.bits.set(0);
  entry.bits.set(319);
  Bytes expected = {
      0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00,  // offset in data
      0x00, 0xF1, 0x53, 0x65, 0x00, 0x00, 0x00, 0x00,  // time changed
      0x02, 0x01, 0x00, 0x00,                          // uploads
      0x02, 0x00, 0x00, 0x00,                          // fails
      0x01,                                            // bitfield, first byte
  };
  append(expected, Bytes(38, 0));
  expected.push_back(0x80);
  EXPECT_EQ(bytesOf(entry), expected);
}

TEST(ClusterEntry, NotAllocatedIsAllOnes) {
  ClusterEntry entry;
  entry.dataOffset = kNotAllocated;
  Bytes expected(8, 0xFF);
  append(expected, Bytes(56, 0));
  EXPECT_EQ(bytesOf(entry), expected);
}

TEST(TableIndex, NoTableIsAllOnes) {
  EXPECT_EQ(bytesOf(TableIndex(kNoTable)), Bytes(4, 0xFF));
  EXPECT_EQ(bytesOf(TableIndex(745)), (Bytes{0xE9, 0x02, 0x00, 0x00}));
}

TEST(MetaLayout, IsTheReferencesForItsMaximum) {
  const MetaLayout layout = MetaLayout::forMaxImageSize(1'000'000'000'000);
  EXPECT_EQ(layout.startL1, 320U);
  EXPECT_EQ(layout.tables, 746U);
  EXPECT_EQ(layout.startL2, 65'536U);
  EXPECT_EQ(layout.metaSize, 48'955'392U);
}

TEST(MetaLayout, HasOneTableForTheSmallestImage) {
  const MetaLayout layout = MetaLayout::forMaxImageSize(1);
  EXPECT_EQ(layout.tables, 1U);
  EXPECT_EQ(layout.startL2, 65'536U);
  EXPECT_EQ(layout.metaSize, 131'072U);
}

TEST(MetaLayout, TakesAnotherTableForOneByteMore) {
  EXPECT_EQ(MetaLayout::forMaxImageSize(1'342'177'280).tables, 1U);
  EXPECT_EQ(MetaLayout::forMaxImageSize(1'342'177'281).tables, 2U);
}

TEST(MetaLayout, MovesL2BehindAnL1ThatIsLonger) {
  // 65 216 bytes lie between the header and the usual start of L2: 16 304 entries.
  EXPECT_EQ(MetaLayout::forMaxImageSize(std::uint64_t{16'304} * 1'342'177'280).startL2, 65'536U);
  EXPECT_EQ(MetaLayout::forMaxImageSize(std::uint64_t{16'305} * 1'342'177'280).startL2, 131'072U);
}

TEST(WhyUnusable, AcceptsASoundHeader) {
  EXPECT_EQ(whyUnusable(makeHeader(), kMetaSize), "");
  EXPECT_EQ(whyUnusable(makeHeader(), kMetaSize + 4096), "");
}

TEST(WhyUnusable, AcceptsTheReferencesBlockSizeOfZero) {
  MetaHeader header = makeHeader();
  header.blockSize = 0;
  EXPECT_EQ(whyUnusable(header, kMetaSize), "");
}

TEST(WhyUnusable, AcceptsNoUuid) {
  MetaHeader header = makeHeader();
  std::memset(header.uuid, 0, sizeof header.uuid);
  EXPECT_EQ(whyUnusable(header, kMetaSize), "");
}

/// One way to spoil a header, and a word that the refusal must hold.
struct Flaw {
  const char* name;
  std::function<void(MetaHeader&)> spoil;
  const char* word;
};

class WhyUnusableFor : public testing::TestWithParam<Flaw> {};

TEST_P(WhyUnusableFor, RefusesAndSaysWhy) {
  MetaHeader header = makeHeader();
  GetParam().spoil(header);
  const std::string reason = whyUnusable(header, kMetaSize);
  EXPECT_NE(reason.find(GetParam().word), std::string::npos) << "said: \"" << reason << '"';
  EXPECT_EQ(reason.find('\n'), std::string::npos);
}

const std::vector<Flaw> kFlaws = {
    {"OtherByteOrder", [](auto& h) { h.magic = 0x5E82F7726E4DE4EB; }, "endianness"},
    {"WrongMagic", [](auto& h) { h.magic = 0xEBE44D6E72F7825F; }, "magic"},
    {"ZeroMagic", [](auto& h) { h.magic = 0; }, "magic"},
    {"OlderVersion", [](auto& h) { h.version = 2; }, "version 2"},
    {"NewerVersion", [](auto& h) { h.version = 4; }, "version 4"},
    {"OtherBlockSize", [](auto& h) { h.blockSize = 512; }, "blocks of 512"},
    {"OtherBitfieldSize", [](auto& h) { h.bitfieldSize = 32; }, "bitfields of 32"},
    {"NoMaximum", [](auto& h) { h.maxImageSize = 0; }, "out of range"},
    {"HugeMaximum", [](auto& h) { h.maxImageSize = std::uint64_t{1} << 62; }, "out of range"},
    {"ImageAboveMaximum", [](auto& h) { h.imageSize = 1'000'000'000'001; }, "maximum"},
    {"L1InTheHeader", [](auto& h) { h.startL1 = 316; }, "overlap"},
    {"L1IntoL2", [](auto& h) { h.startL1 = 65'536 - 746 * 4 + 4; }, "overlap"},
    {"L2BehindTheEnd", [](auto& h) { h.startL2 = 131'072; }, "outside"},
    {"NegativeMetaSize", [](auto& h) { h.metaSize = -1; }, "outside"},
    {"MetaSizeTooSmall", [](auto& h) { h.metaSize = 48'955'391; }, "outside"},
    {"NegativeNextL2", [](auto& h) { h.nextL2 = -1; }, "tables"},
    {"NextL2TooLarge", [](auto& h) { h.nextL2 = 747; }, "tables"},
    {"NextClusterInTheMagic", [](auto& h) { h.nextClusterOffset = 0; }, "next cluster"},
    {"NegativeNextCluster", [](auto& h) { h.nextClusterOffset = -1'310'720; }, "next cluster"},
    {"CrookedNextCluster", [](auto& h) { h.nextClusterOffset = 1'310'721; }, "next cluster"},
    {"EndlessUuid", [](auto& h) { std::memset(h.uuid, 'a', sizeof h.uuid); }, "uuid"},
    {"EndlessName", [](auto& h) { std::memset(h.imageName, 'a', sizeof h.imageName); }, "name"},
};

INSTANTIATE_TEST_SUITE_P(Each, WhyUnusableFor, testing::ValuesIn(kFlaws),
                         [](const auto& flaw) { return flaw.param.name; });

TEST(WhyUnusable, RefusesATruncatedFile) {
  EXPECT_NE(whyUnusable(makeHeader(), kMetaSize - 1).find("truncated"), std::string::npos);
}

TEST(WhyUnusable, LooksAtHugeNumbersWithoutOverflow) {
  MetaHeader header = makeHeader();
  header.startL1 = 0xFFFFFFFF;
  header.startL2 = 0xFFFFFFFF;
  EXPECT_NE(whyUnusable(header, kMetaSize), "");
}

}  // namespace
}  // namespace netcow
