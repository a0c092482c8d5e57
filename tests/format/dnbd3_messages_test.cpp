// SPDX-License-Identifier: Apache-2.0
// The bytes below are written by hand from the description of the protocol, not by the code.
#include "format/dnbd3_messages.h"

#include <gmock/gmock.h>

#include <cstring>

namespace netcow::dnbd3 {
namespace {

using testing::ElementsAreArray;

Bytes bytesOf(std::initializer_list<unsigned> values) {
  Bytes bytes;
  for (const unsigned value : values) {
    bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

template <class Header>
Bytes bytesOf(const Header& header) {
  Bytes bytes(sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

TEST(Dnbd3Messages, BlockRequestIsTwentyFourLittleEndianBytes) {
  EXPECT_THAT(bytesOf(blockRequest(0x0001'0203'0405'0607, 0x00040000, 0x1122334455667788)),
              ElementsAreArray(bytesOf({0x73, 0x72,                                      // magic
                                        0x01, 0x00,                                      // command
                                        0x00, 0x00, 0x04, 0x00,                          // size
                                        0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0x00,  // offset
                                        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11})));
}

TEST(Dnbd3Messages, HopCountLiesInTheTopByteOfTheOffset) {
  const Bytes bytes = bytesOf({0x73, 0x72, 1, 0, 0, 16, 0, 0, 0xEF, 0xCD, 0xAB, 0, 0, 0, 0, 7,  //
                               1,    0,    0, 0, 0, 0,  0, 0});
  RequestHeader request;
  ASSERT_EQ(bytes.size(), sizeof request);
  std::memcpy(&request, bytes.data(), bytes.size());
  EXPECT_EQ(request.offset(), 0xABCDEFU);
  EXPECT_EQ(request.hops(), 7);
  EXPECT_EQ(request.size, 4096U);
}

TEST(Dnbd3Messages, BlockRequestKeepsTheHopCountZero) {
  EXPECT_EQ(blockRequest(~std::uint64_t{0}, 1, 1).hops(), 0);
}

TEST(Dnbd3Messages, PlainRequestsHaveTheNumbersOfTheProtocol) {
  const auto second = [](Command command) { return bytesOf(plainRequest(command))[2]; };
  EXPECT_EQ(second(Command::getBlock), std::byte{1});
  EXPECT_EQ(second(Command::selectImage), std::byte{2});
  EXPECT_EQ(second(Command::getServers), std::byte{3});
  EXPECT_EQ(second(Command::error), std::byte{4});
  EXPECT_EQ(second(Command::keepAlive), std::byte{5});
  EXPECT_EQ(second(Command::latestRevision), std::byte{6});
  EXPECT_EQ(second(Command::setClientMode), std::byte{7});
  EXPECT_EQ(second(Command::getCrc32), std::byte{8});
}

TEST(Dnbd3Messages, KeepAliveIsAHeaderOfZeros) {
  EXPECT_THAT(bytesOf(plainRequest(Command::keepAlive)),
              ElementsAreArray(bytesOf({0x73, 0x72, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0,  //
                                        0,    0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0})));
}

TEST(Dnbd3Messages, ReplyHeaderIsSixteenBytes) {
  const Bytes bytes = bytesOf({0x73, 0x72, 1, 0, 0x00, 0x10, 0, 0,  //
                               0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11});
  ReplyHeader reply;
  ASSERT_EQ(bytes.size(), sizeof reply);
  std::memcpy(&reply, bytes.data(), bytes.size());
  EXPECT_EQ(reply.magic, 0x7273);
  EXPECT_EQ(reply.command, 1);
  EXPECT_EQ(reply.size, 4096U);
  EXPECT_EQ(reply.handle, 0x1122334455667788U);
}

TEST(Dnbd3Messages, SelectRequestHoldsVersionNameRevisionFlags) {
  SelectRequest select;
  select.name = "a/b";
  select.revision = 0x0102;
  select.flags = SelectRequest::kIsServer | SelectRequest::kBackground;
  EXPECT_THAT(encode(select),
              ElementsAreArray(bytesOf({0x73, 0x72, 2,   0,   9,   0, 0,    0,  // payload: 9
                                        0,    0,    0,   0,   0,   0, 0,    0,  // offset
                                        0,    0,    0,   0,   0,   0, 0,    0,  // handle
                                        3,    0,    'a', '/', 'b', 0, 0x02, 0x01, 3})));
}

TEST(Dnbd3Messages, SelectRequestWithoutFlagsIsAClients) {
  const auto select = decodeSelectRequest(bytesOf({2, 0, 'x', 0, 7, 0}));
  ASSERT_TRUE(select);
  EXPECT_EQ(select->version, 2);
  EXPECT_EQ(select->name, "x");
  EXPECT_EQ(select->revision, 7);
  EXPECT_EQ(select->flags, 0);
}

TEST(Dnbd3Messages, SelectRequestCutAnywhereIsMalformed) {
  const Bytes whole = bytesOf({3, 0, 'x', 'y', 0, 7, 0});
  ASSERT_TRUE(decodeSelectRequest(whole));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(decodeSelectRequest(std::span(whole).first(length))) << length;
  }
}

TEST(Dnbd3Messages, SelectReplyHoldsVersionNameRevisionSize) {
  SelectReply reply;
  reply.name = "img";
  reply.revision = 5;
  reply.size = 0x0000'0102'0304'0000;
  const Bytes expected = bytesOf({0x73, 0x72, 2,    0,    16,   0,    0,    0,  // payload: 16
                                  0,    0,    0,    0,    0,    0,    0,    0,  // handle
                                  3,    0,    'i',  'm',  'g',  0,    5,    0,  //
                                  0x00, 0x00, 0x04, 0x03, 0x02, 0x01, 0x00, 0x00});
  EXPECT_THAT(encode(reply), ElementsAreArray(expected));

  const auto back = decodeSelectReply(std::span(expected).subspan(16));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->version, 3);
  EXPECT_EQ(back->name, "img");
  EXPECT_EQ(back->revision, 5);
  EXPECT_EQ(back->size, 0x0000'0102'0304'0000U);
}

TEST(Dnbd3Messages, SelectReplyCutAnywhereIsMalformed) {
  const Bytes whole = bytesOf({3, 0, 'i', 0, 5, 0, 0, 16, 0, 0, 0, 0, 0, 0});
  ASSERT_TRUE(decodeSelectReply(whole));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(decodeSelectReply(std::span(whole).first(length))) << length;
  }
}

TEST(Dnbd3Messages, ServerEntryIsAddressPortTypeFailures) {
  const Bytes bytes = bytesOf({10,   0,    0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  //
                               0x13, 0x8B, 2, 9});
  ServerEntry entry;
  ASSERT_EQ(bytes.size(), sizeof entry);
  std::memcpy(&entry, bytes.data(), bytes.size());
  EXPECT_EQ(entry.address[0], 10);
  EXPECT_EQ(entry.address[3], 1);
  EXPECT_EQ(entry.port[0] * 256 + entry.port[1], 5003);
  EXPECT_EQ(entry.type, ServerEntry::kIpv4);
  EXPECT_EQ(entry.failures, 9);
  EXPECT_EQ(ServerEntry::kIpv6, 10);
}

}  // namespace
}  // namespace netcow::dnbd3
