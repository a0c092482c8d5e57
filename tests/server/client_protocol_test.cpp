// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/client_protocol.h"

#include <gtest/gtest.h>

#include <array>

#include "server/dnbd3_bytes.h"
#include "server/sent_bytes.h"
#include "server/test_files.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::Bytes;
using test::ByteWriter;
using test::getBlock;
using test::reply;
using test::request;
using test::selectImage;
using test::selectReply;

using Taken = ClientProtocol::Taken;

constexpr std::uint64_t kSize = 100 * 4096;

class ClientProtocolTest : public testing::Test {
 protected:
  ClientProtocolTest() { test::writeFile(directory_ / "win.r4", content_); }

  /// Feeds whole messages; false when the client is to be disconnected.
  bool receive(const Bytes& bytes) {
    std::size_t used = 0;
    const auto taken = protocol_.receive(bytes, used, DiskAccess::mayWait);
    EXPECT_TRUE(taken == Taken::broken || used == bytes.size());
    return taken == Taken::whole;
  }
  Bytes produceAll(std::size_t bufferSize = 65'536) {
    Bytes all;
    while (protocol_.hasReplies()) {
      const Bytes next = test::takeNext(protocol_, bufferSize);
      if (next.empty()) {
        ADD_FAILURE() << "disconnected";
        return all;
      }
      all.insert(all.end(), next.begin(), next.end());
    }
    return all;
  }
  /// Selects the image; the reply is taken out.
  void select() {
    ASSERT_TRUE(receive(selectImage("win", 4)));
    produceAll();
  }
  Bytes contentAt(std::uint64_t offset, std::uint64_t length) {
    const auto begin = content_.begin() + static_cast<std::ptrdiff_t>(offset);
    return {begin, begin + static_cast<std::ptrdiff_t>(length)};
  }

  test::SeededRandom random_;
  test::TemporaryDirectory directory_;
  Bytes content_ = random_.bytes(kSize);
  ImageCatalog catalog_ = ImageCatalog(directory_.path());
  ChecksumLists checksums_ = ChecksumLists(catalog_, directory_ / ".own");
  BlockStatistics statistics_;
  BlockService service_ = {catalog_, checksums_, statistics_, BlockService::encodeServers({})};
  ClientProtocol protocol_ = ClientProtocol(service_);
};

TEST_F(ClientProtocolTest, AnswersASelectWithNameRevisionAndSize) {
  EXPECT_TRUE(receive(selectImage("win", 4)));
  EXPECT_EQ(produceAll(), selectReply("win", 4, kSize));
}

TEST_F(ClientProtocolTest, TellsWhichRevisionIsTheLatest) {
  EXPECT_TRUE(receive(selectImage("win", 0)));
  EXPECT_EQ(produceAll(), selectReply("win", 4, kSize));
}

TEST_F(ClientProtocolTest, AnswersAnOldClientInItsVersion) {
  EXPECT_TRUE(receive(selectImage("win", 4, 2)));
  EXPECT_EQ(produceAll(), selectReply("win", 4, kSize, 2));
}

TEST_F(ClientProtocolTest, AnswersALaterClientInVersionThree) {
  EXPECT_TRUE(receive(selectImage("win", 4, 9)));
  EXPECT_EQ(produceAll(), selectReply("win", 4, kSize, 3));
}

TEST_F(ClientProtocolTest, TakesASelectWithoutFlags) {
  const auto payload = ByteWriter().u16(3).text("win").u16(4).bytes();
  EXPECT_TRUE(receive(request(2, 0, static_cast<std::uint32_t>(payload.size()), 0, payload)));
  EXPECT_EQ(produceAll(), selectReply("win", 4, kSize));
}

TEST_F(ClientProtocolTest, DisconnectsWhoeverSelectsBadly) {
  EXPECT_FALSE(receive(selectImage("win", 4, 1))) << "version 1";
  EXPECT_FALSE(receive(selectImage("win", 5))) << "no such revision";
  EXPECT_FALSE(receive(selectImage("mac", 0))) << "no such image";
  EXPECT_FALSE(receive(selectImage("../" + directory_.path().filename().string() + "/win", 4)));
  EXPECT_FALSE(receive(selectImage("", 4))) << "no name";
  const auto unended = ByteWriter().u16(3).u8('w').u8('i').u8('n').bytes();
  EXPECT_FALSE(receive(request(2, 0, 5, 0, unended))) << "name without an end";
  EXPECT_FALSE(protocol_.hasReplies());
}

TEST_F(ClientProtocolTest, DisconnectsWhoeverDoesNotSelectFirst) {
  EXPECT_FALSE(receive(getBlock(0, 4096, 1)));
  EXPECT_FALSE(receive(request(5, 0, 0, 1)));
}

TEST_F(ClientProtocolTest, DisconnectsOnAWrongMagic) {
  select();
  Bytes wrong = getBlock(0, 4096, 1);
  wrong[0] = std::byte{0x72};
  EXPECT_FALSE(receive(wrong));
}

TEST_F(ClientProtocolTest, DisconnectsOnAPayloadThatIsTooLong) {
  select();
  EXPECT_TRUE(receive(request(5, 0, 1000, 7, Bytes(1000))));
  EXPECT_FALSE(receive(request(5, 0, 1001, 8, Bytes(1001))));
}

TEST_F(ClientProtocolTest, ReadsAnyRangeInsideTheImage) {
  select();
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t offset = random_.between(0, kSize - 1);
    const std::uint64_t length = random_.between(0, kSize - offset);
    EXPECT_TRUE(receive(getBlock(offset, static_cast<std::uint32_t>(length), 77)));
    EXPECT_EQ(produceAll(), reply(1, 77, contentAt(offset, length)));
  }
}

TEST_F(ClientProtocolTest, IgnoresTheHopCount) {
  select();
  EXPECT_TRUE(receive(getBlock((std::uint64_t{0xAB} << 56U) + 4096, 10, 1)));
  EXPECT_EQ(produceAll(), reply(1, 1, contentAt(4096, 10)));
}

TEST_F(ClientProtocolTest, AnswersErrorForWhatLiesBeyondTheImage) {
  select();
  EXPECT_TRUE(receive(getBlock(kSize - 1, 1, 1)));
  EXPECT_EQ(produceAll(), reply(1, 1, contentAt(kSize - 1, 1)));
  const std::array<std::pair<std::uint64_t, std::uint32_t>, 4> outside = {
      {{kSize, 0}, {kSize - 1, 2}, {0, kSize + 1}, {(std::uint64_t{1} << 56U) - 1, 0xFFFFFFFFU}}};
  for (const auto& [offset, length] : outside) {
    EXPECT_TRUE(receive(getBlock(offset, length, 42)));
    EXPECT_EQ(produceAll(), reply(4, 42)) << offset;
  }
}

TEST_F(ClientProtocolTest, AnswersAKeepAliveAndSkipsItsPayload) {
  select();
  EXPECT_TRUE(receive(request(5, 0, 3, 9, Bytes(3, std::byte{0x73}))));
  EXPECT_TRUE(receive(request(5, 0, 0, 10)));
  EXPECT_EQ(produceAll(), ByteWriter().raw(reply(5, 9)).raw(reply(5, 10)).bytes());
}

TEST_F(ClientProtocolTest, KeepsSilentAboutCommandsWithoutAReply) {
  select();
  for (const std::uint16_t command : std::initializer_list<std::uint16_t>{4, 6, 7, 9, 0, 65'535}) {
    EXPECT_TRUE(receive(request(command, 0, 5, 1, Bytes(5)))) << command;
  }
  EXPECT_TRUE(receive(selectImage("win", 4))) << "a second select";
  EXPECT_FALSE(protocol_.hasReplies());
}

TEST_F(ClientProtocolTest, KnowsNoOtherServersUnlessTold) {
  select();
  EXPECT_TRUE(receive(request(3, 0, 0, 5)));
  EXPECT_EQ(produceAll(), reply(3, 5));
}

TEST_F(ClientProtocolTest, TellsAtMostEightOtherServers) {
  dnbd3::ServerEntry entry;
  entry.address = {10, 0, 0, 1};
  entry.port = {0x13, 0x8B};
  entry.type = dnbd3::ServerEntry::kIpv4;
  service_.otherServers = BlockService::encodeServers(std::vector<dnbd3::ServerEntry>(9, entry));
  select();
  ASSERT_TRUE(receive(request(3, 0, 0, 5)));
  ByteWriter one;
  one.u8(10).u8(0).u8(0).u8(1).u64(0).u32(0).u8(0x13).u8(0x8B).u8(2).u8(0);
  ByteWriter eight;
  for (int i = 0; i < 8; ++i) {
    eight.raw(one.bytes());
  }
  EXPECT_EQ(produceAll(), reply(3, 5, eight.bytes()));
}

TEST_F(ClientProtocolTest, AnswersWithoutAListOfChecksums) {
  select();
  EXPECT_TRUE(receive(request(8, 0, 0, 6)));
  EXPECT_EQ(produceAll(), reply(8, 6));
}

TEST_F(ClientProtocolTest, WaitsForTheRestOfAMessage) {
  Bytes messages = selectImage("win", 4);
  const Bytes block = getBlock(4096, 100, 3);
  messages.insert(messages.end(), block.begin(), block.end());
  Bytes pending;
  for (const std::byte byte : messages) {
    pending.push_back(byte);
    std::size_t used = 0;
    ASSERT_EQ(protocol_.receive(pending, used, DiskAccess::mayWait), Taken::whole);
    pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(used));
  }
  EXPECT_EQ(produceAll(), ByteWriter()
                              .raw(selectReply("win", 4, kSize))
                              .raw(reply(1, 3, contentAt(4096, 100)))
                              .bytes());
}

TEST_F(ClientProtocolTest, SpreadsRepliesOverBuffersOfAnySize) {
  select();
  for (const std::size_t bufferSize : {16U, 17U, 100U, 4111U, 4112U, 4113U}) {
    ByteWriter expected;
    for (std::uint32_t i = 0; i < 5; ++i) {
      EXPECT_TRUE(receive(getBlock(i * 5000, 4096 + i, i)));
      EXPECT_TRUE(receive(request(5, 0, 0, i)));
      expected.raw(reply(1, i, contentAt(i * 5000, 4096 + i))).raw(reply(5, i));
    }
    EXPECT_EQ(produceAll(bufferSize), expected.bytes()) << bufferSize;
  }
}

TEST_F(ClientProtocolTest, PutsManySmallRepliesIntoOneBuffer) {
  select();
  for (std::uint32_t i = 0; i < 10; ++i) {
    EXPECT_TRUE(receive(getBlock(i, 100, i)));
  }
  EXPECT_EQ(test::takeNext(protocol_, 65'536).size(), 10U * (16 + 100));
  EXPECT_FALSE(protocol_.hasReplies());
}

TEST_F(ClientProtocolTest, TakesNoMoreRequestsThanItsQueueHolds) {
  select();
  ByteWriter many;
  for (std::size_t i = 0; i < ReplyQueue::kMost + 10; ++i) {
    many.raw(request(5, 0, 0, i));
  }
  std::size_t used = 0;
  EXPECT_EQ(protocol_.receive(many.bytes(), used, DiskAccess::mayWait), Taken::whole);
  EXPECT_EQ(protocol_.room(), 0U);
  EXPECT_EQ(used, ReplyQueue::kMost * 24);
  EXPECT_EQ(test::takeNext(protocol_, 65'536).size(), ReplyQueue::kMost * 16);
  EXPECT_EQ(protocol_.room(), ReplyQueue::kMost);
}

TEST_F(ClientProtocolTest, SendsLargeRepliesFromTheFileAndTheZerosBehindItFromABuffer) {
  std::filesystem::resize_file(directory_ / "win.r4", kSize - 1000);
  select();
  std::fill(content_.end() - 1000, content_.end(), std::byte{0});
  EXPECT_TRUE(receive(getBlock(kSize - 100'000, 100'000, 1)));
  EXPECT_TRUE(receive(request(5, 0, 0, 2)));
  const Bytes header = test::takeNext(protocol_, 65'536);
  EXPECT_EQ(header.size(), 16U);
  const auto piece = protocol_.filePiece();
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->offset, kSize - 100'000);
  EXPECT_EQ(piece->length, 99'000U);
  const Bytes rest = produceAll();
  EXPECT_EQ(
      ByteWriter().raw(header).raw(rest).bytes(),
      ByteWriter().raw(reply(1, 1, contentAt(kSize - 100'000, 100'000))).raw(reply(5, 2)).bytes());
}

TEST_F(ClientProtocolTest, SelectsOnlyWhereItMayWaitForTheDisk) {
  std::size_t used = 0;
  EXPECT_EQ(protocol_.receive(selectImage("win", 4), used, DiskAccess::cachedOnly),
            Taken::needsDisk);
  EXPECT_EQ(used, 0U);
  select();
}

TEST_F(ClientProtocolTest, RepeatsWhatWasNotTaken) {
  select();
  EXPECT_TRUE(receive(getBlock(7, 100, 1)));
  EXPECT_TRUE(receive(getBlock(8, 200, 2)));
  Bytes all;
  while (protocol_.hasReplies()) {
    Bytes buffer(4096);
    buffer.resize(protocol_.gather(buffer, DiskAccess::mayWait).length);
    buffer.resize(std::min<std::size_t>(buffer.size(), 5));  // a client that takes a little
    protocol_.sent(buffer.size());
    all.insert(all.end(), buffer.begin(), buffer.end());
  }
  EXPECT_EQ(
      all,
      ByteWriter().raw(reply(1, 1, contentAt(7, 100))).raw(reply(1, 2, contentAt(8, 200))).bytes());
}

}  // namespace
}  // namespace netcow
