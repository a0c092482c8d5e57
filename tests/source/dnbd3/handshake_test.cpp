// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/handshake.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>

#include <stdexcept>

#include "support/fake_clock.h"

namespace netcow {
namespace {

using testing::HasSubstr;
using State = Handshake::State;

/// A handshake with a peer that the test plays by hand.
class HandshakeTest : public testing::Test {
 protected:
  explicit HandshakeTest(Handshake::Goal goal = Handshake::Goal::select)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_.get(), any, length) != 0 || ::listen(listener_.get(), 1) != 0 ||
        ::getsockname(listener_.get(), any, &length) != 0) {
      throw std::runtime_error("no listening socket");
    }
    handshake_.emplace(SocketAddress::from(any, length).value(),
                       WantedImage{{"image", 5}, std::nullopt}, goal, clock_);
    peer_.reset(::accept(listener_.get(), nullptr, nullptr));
    waitAndAdvance();
    EXPECT_EQ(handshake_->state(), State::receiving);
  }
  void waitAndAdvance() {
    pollfd entry = {handshake_->fd(), handshake_->events(), 0};
    ASSERT_EQ(::poll(&entry, 1, 10'000), 1);
    handshake_->advance();
  }
  void send(std::span<const std::byte> bytes) {
    ASSERT_EQ(::send(peer_.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  static dnbd3::Bytes answer(std::uint16_t version, std::uint16_t revision) {
    dnbd3::SelectReply reply;
    reply.version = version;
    reply.name = "image";
    reply.revision = revision;
    reply.size = 8192;
    return dnbd3::encode(reply);
  }
  test::FakeClock clock_;
  UniqueFd listener_;
  UniqueFd peer_;
  std::optional<Handshake> handshake_;
};

TEST_F(HandshakeTest, SelectsTheImageFirst) {
  std::byte request[100];
  const ssize_t got = ::recv(peer_.get(), request, sizeof request, 0);
  ASSERT_EQ(got, 24 + 2 + 6 + 2 + 1);
  const auto select = dnbd3::decodeSelectRequest(std::span(request).subspan(24, 11));
  ASSERT_TRUE(select);
  EXPECT_EQ(select->name, "image");
  EXPECT_EQ(select->revision, 5);
  EXPECT_EQ(select->flags, 0);
}

TEST_F(HandshakeTest, TakesAnAnswerThatComesByteByByte) {
  for (const std::byte byte : answer(3, 5)) {
    ASSERT_EQ(handshake_->state(), State::receiving);
    send(std::span(&byte, 1));
    waitAndAdvance();
  }
  EXPECT_EQ(handshake_->state(), State::agreed);
  EXPECT_EQ(handshake_->reply().size, 8192U);
}

TEST_F(HandshakeTest, LeavesWhatFollowsTheAnswerInTheSocket) {
  dnbd3::Bytes message = answer(2, 5);
  message.push_back(std::byte{0x73});
  send(message);
  waitAndAdvance();
  ASSERT_EQ(handshake_->state(), State::agreed);
  const UniqueFd socket = handshake_->takeSocket();
  std::byte next{0};
  EXPECT_EQ(::recv(socket.get(), &next, 1, 0), 1);
  EXPECT_EQ(next, std::byte{0x73});
}

TEST_F(HandshakeTest, RefusesServersThatAreTooOld) {
  send(answer(1, 5));
  waitAndAdvance();
  EXPECT_EQ(handshake_->state(), State::failed);
  EXPECT_THAT(handshake_->failure(), HasSubstr("version"));
}

TEST_F(HandshakeTest, ResetMeansThatTheImageIsUnknownToo) {
  // The request is still unread, so closing resets the connection.
  peer_.reset();
  waitAndAdvance();
  EXPECT_EQ(handshake_->state(), State::failed);
  EXPECT_THAT(handshake_->failure(), HasSubstr("does not have image image revision 5"));
}

// --- measuring ------------------------------------------------------------------------------

class MeasuringHandshakeTest : public HandshakeTest {
 protected:
  MeasuringHandshakeTest() : HandshakeTest(Handshake::Goal::measure) {
    send(answer(3, 5));
    waitAndAdvance();
    std::byte ignored[100];
    EXPECT_GT(::recv(peer_.get(), ignored, 24 + 2 + 6 + 2 + 1, 0), 0);
    EXPECT_EQ(::recv(peer_.get(), &request_, sizeof request_, MSG_WAITALL), 24);
  }
  void reply(std::uint16_t command, std::uint64_t handle, std::uint32_t size) {
    dnbd3::ReplyHeader header;
    header.command = command;
    header.size = size;
    header.handle = handle;
    send(std::as_bytes(std::span(&header, 1)));
    waitAndAdvance();
  }
  dnbd3::RequestHeader request_;
};

TEST_F(MeasuringHandshakeTest, TimesOneBlockFromAskingToItsLastByte) {
  EXPECT_EQ(request_.command, 1);
  EXPECT_EQ(request_.offset(), 0U);
  EXPECT_EQ(request_.size, 4096U);
  clock_.advance(std::chrono::milliseconds(3));
  reply(1, request_.handle, 4096);
  dnbd3::Bytes block(4096 + 1);
  send(std::span(block).first(4000));
  waitAndAdvance();
  EXPECT_EQ(handshake_->state(), State::receiving);
  clock_.advance(std::chrono::milliseconds(2));
  send(std::span(block).subspan(4000));
  waitAndAdvance();
  ASSERT_EQ(handshake_->state(), State::agreed);
  EXPECT_EQ(handshake_->roundTrip(), std::chrono::milliseconds(5));
  const UniqueFd socket = handshake_->takeSocket();
  std::byte next{1};
  EXPECT_EQ(::recv(socket.get(), &next, 1, 0), 1) << "what follows the block is somebody else's";
}

TEST_F(MeasuringHandshakeTest, RefusesAServerThatGivesSomethingElse) {
  reply(4, request_.handle, 0);
  EXPECT_EQ(handshake_->state(), State::failed);
}

TEST_F(MeasuringHandshakeTest, RefusesABlockOfAnotherSize) {
  reply(1, request_.handle, 0xFFFF'FFFF);
  EXPECT_EQ(handshake_->state(), State::failed);
}

TEST_F(MeasuringHandshakeTest, RefusesABlockNobodyAskedFor) {
  reply(1, request_.handle + 1, 4096);
  EXPECT_EQ(handshake_->state(), State::failed);
}

TEST(ObjectionTo, NothingAgainstExactlyTheWantedImage) {
  const WantedImage wanted{{"a", 5}, 8192};
  EXPECT_EQ(objectionTo({3, "a", 5, 8192}, wanted), "");
  EXPECT_NE(objectionTo({3, "b", 5, 8192}, wanted), "");
  EXPECT_NE(objectionTo({3, "a", 6, 8192}, wanted), "");
  EXPECT_NE(objectionTo({3, "a", 5, 4096}, wanted), "");
}

TEST(ObjectionTo, LatestRevisionMayBeAnyButZero) {
  const WantedImage wanted{{"a", 0}, std::nullopt};
  EXPECT_EQ(objectionTo({3, "a", 65535, 4096}, wanted), "");
  EXPECT_NE(objectionTo({3, "a", 0, 4096}, wanted), "");
  EXPECT_NE(objectionTo({3, "../a", 1, 4096}, wanted), "");
}

}  // namespace
}  // namespace netcow
