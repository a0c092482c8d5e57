// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/reply_reader.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <map>

#include "base/unique_fd.h"
#include "support/seeded_random.h"

namespace netcow {
namespace {

using testing::HasSubstr;

/// Has asked for the blocks in `wanted`.
class RecordingHandler : public ReplyHandler {
 public:
  std::span<std::byte> beginBlock(std::uint64_t handle) override {
    const auto it = wanted.find(handle);
    return it == wanted.end() ? std::span<std::byte>() : std::span(it->second);
  }
  void endBlock(std::uint64_t handle) override { ended.push_back(handle); }
  bool refuseBlock(std::uint64_t handle) override {
    refused.push_back(handle);
    return wanted.count(handle) != 0;
  }
  bool takePlainReply(dnbd3::Command /*command*/) override { return ++plain <= mostPlain; }
  void takeServers(std::span<const dnbd3::ServerEntry> entries) override {
    servers.insert(servers.end(), entries.begin(), entries.end());
  }
  std::map<std::uint64_t, std::vector<std::byte>> wanted;
  std::vector<std::uint64_t> ended;
  std::vector<std::uint64_t> refused;
  std::vector<dnbd3::ServerEntry> servers;
  int plain = 0;
  int mostPlain = 1000;
};

class ReplyReaderTest : public testing::Test {
 protected:
  ReplyReaderTest() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
      throw std::runtime_error("no socketpair");
    }
    mine_.reset(ends[0]);
    theirs_.reset(ends[1]);
  }
  void reply(std::uint16_t command, std::uint64_t handle, std::size_t size,
             std::span<const std::byte> payload, std::uint16_t magic = 0x7273) {
    dnbd3::ReplyHeader header;
    header.magic = magic;
    header.command = command;
    header.size = static_cast<std::uint32_t>(size);
    header.handle = handle;
    const auto bytes = std::as_bytes(std::span(&header, 1));
    stream_.insert(stream_.end(), bytes.begin(), bytes.end());
    stream_.insert(stream_.end(), payload.begin(), payload.end());
  }
  void send(std::size_t most = SIZE_MAX) {
    most = std::min(most, stream_.size());
    ASSERT_EQ(::send(theirs_.get(), stream_.data(), most, 0), static_cast<ssize_t>(most));
    stream_.erase(stream_.begin(), stream_.begin() + static_cast<std::ptrdiff_t>(most));
  }
  /// Sends the stream and receives until it is empty; returns the failure.
  std::string failureOfStream() {
    send();
    ReplyReader::Result result;
    do {
      result = reader_.receive(mine_.get());
    } while (result.gotBytes && result.failure.empty());
    return result.failure;
  }
  UniqueFd mine_;
  UniqueFd theirs_;
  std::vector<std::byte> stream_;
  RecordingHandler handler_;
  ReplyReader reader_{handler_};
};

TEST_F(ReplyReaderTest, DrainsManySmallRepliesInOneCall) {
  const std::vector<std::byte> block(4096, std::byte{7});
  for (std::uint64_t handle = 0; handle < 16; ++handle) {
    handler_.wanted[handle].resize(4096);
    reply(1, handle, 4096, block);
  }
  send();
  const auto result = reader_.receive(mine_.get());
  EXPECT_TRUE(result.gotBytes);
  EXPECT_EQ(result.failure, "");
  EXPECT_EQ(handler_.ended.size(), 16U);
  EXPECT_EQ(handler_.wanted[15], block);
}

TEST_F(ReplyReaderTest, NothingThereIsNoFailure) {
  const auto result = reader_.receive(mine_.get());
  EXPECT_FALSE(result.gotBytes);
  EXPECT_EQ(result.failure, "");
}

// Replies of every size, sent in parts of every size, end in the right places.
TEST_F(ReplyReaderTest, HowTheStreamIsCutMakesNoDifference) {
  test::SeededRandom random;
  std::map<std::uint64_t, std::vector<std::byte>> expected;
  for (std::uint64_t handle = 0; handle < 300; ++handle) {
    const bool isLarge = random.oneIn(8);
    const auto content = random.bytes(random.between(1, isLarge ? 300'000 : 6'000));
    handler_.wanted[handle].resize(content.size());
    reply(1, handle, content.size(), content);
    expected[handle] = content;
    if (random.oneIn(10)) {
      reply(5, 0, 0, {});
      reply(99, 0, 77, random.bytes(77));
    }
  }
  while (!stream_.empty()) {
    send(random.oneIn(2) ? random.between(1, 40) : random.between(1, 150'000));
    ReplyReader::Result result;
    do {
      result = reader_.receive(mine_.get());
      ASSERT_EQ(result.failure, "");
    } while (result.gotBytes);
  }
  EXPECT_EQ(handler_.ended.size(), expected.size());
  EXPECT_EQ(handler_.wanted, expected);
}

TEST_F(ReplyReaderTest, TakesServersAndPassesOverUnknownReplies) {
  std::vector<dnbd3::ServerEntry> entries(2);
  entries[1].type = 2;
  reply(77, 1, 3, std::vector<std::byte>(3));
  reply(3, 0, 40, std::as_bytes(std::span(entries)));
  EXPECT_EQ(failureOfStream(), "");
  ASSERT_EQ(handler_.servers.size(), 2U);
  EXPECT_EQ(handler_.servers[1].type, 2);
}

TEST_F(ReplyReaderTest, TakesNoMoreServersThanTheProtocolAllows) {
  reply(3, 0, 400, std::vector<std::byte>(400));
  EXPECT_EQ(failureOfStream(), "");
  EXPECT_EQ(handler_.servers.size(), 8U);
}

TEST_F(ReplyReaderTest, HandsOnRefusals) {
  handler_.wanted[9].resize(4096);
  reply(4, 9, 0, {});
  EXPECT_EQ(failureOfStream(), "");
  EXPECT_EQ(handler_.refused, std::vector<std::uint64_t>{9});
}

TEST_F(ReplyReaderTest, WrongMagicIsAFailure) {
  reply(5, 0, 0, {}, 0x7372);
  EXPECT_THAT(failureOfStream(), HasSubstr("magic"));
}

TEST_F(ReplyReaderTest, UnknownHandleIsAFailure) {
  reply(1, 1, 4096, {});
  EXPECT_THAT(failureOfStream(), HasSubstr("never asked for"));
}

TEST_F(ReplyReaderTest, RefusalOfAnUnknownHandleIsAFailure) {
  reply(4, 1, 0, {});
  EXPECT_THAT(failureOfStream(), HasSubstr("never made"));
}

TEST_F(ReplyReaderTest, BlockOfAnotherSizeIsAFailureBeforeAByteIsStored) {
  for (const std::size_t size : {4095U, 4097U, 0U}) {
    reader_.reset();
    handler_.wanted[1].assign(4096, std::byte{0xAA});
    reply(1, 1, size, std::vector<std::byte>(size));
    EXPECT_THAT(failureOfStream(), HasSubstr("instead of 4096")) << size;
    EXPECT_EQ(handler_.wanted[1], std::vector<std::byte>(4096, std::byte{0xAA}));
  }
}

TEST_F(ReplyReaderTest, EndlessOtherReplyIsAFailure) {
  reply(5, 0, 1'000'000, {});
  EXPECT_THAT(failureOfStream(), HasSubstr("impossible length"));
}

TEST_F(ReplyReaderTest, TellsAnEndBetweenRepliesFromOneInside) {
  theirs_.reset();
  EXPECT_EQ(reader_.receive(mine_.get()).failure, "it closed the connection");
}

TEST_F(ReplyReaderTest, EndInsideAReplyIsAFailure) {
  handler_.wanted[1].resize(4096);
  reply(1, 1, 4096, std::vector<std::byte>(100));
  send();
  theirs_.reset();
  EXPECT_EQ(reader_.receive(mine_.get()).failure, "");
  EXPECT_THAT(reader_.receive(mine_.get()).failure, HasSubstr("inside a reply"));
  EXPECT_EQ(handler_.ended.size(), 0U);
}

TEST_F(ReplyReaderTest, NewConnectionBeginsWithAHeader) {
  handler_.wanted[1].resize(4096);
  reply(1, 1, 4096, std::vector<std::byte>(100));
  EXPECT_EQ(failureOfStream(), "");
  reader_.reset();
  reply(1, 1, 4096, std::vector<std::byte>(4096, std::byte{5}));
  EXPECT_EQ(failureOfStream(), "");
  EXPECT_EQ(handler_.wanted[1], std::vector<std::byte>(4096, std::byte{5}));
}

TEST_F(ReplyReaderTest, ABlockThatMovesWhileItComesGoesToItsNewPlaceOnly) {
  test::SeededRandom random;
  for (std::uint64_t handle = 1; handle <= 50; ++handle) {
    const auto content = random.bytes(20'000);
    handler_.wanted[handle].assign(content.size(), std::byte{0});
    reply(1, handle, content.size(), content);
    const std::size_t first = random.between(0, stream_.size() - 1);
    send(first);
    while (reader_.receive(mine_.get()).gotBytes) {
    }
    const std::vector<std::byte> old = std::move(handler_.wanted[handle]);
    const std::vector<std::byte> before = old;
    handler_.wanted[handle].assign(content.size(), std::byte{0});
    reader_.findPlaceAgain();
    EXPECT_EQ(failureOfStream(), "");
    EXPECT_EQ(old, before);
    const std::size_t moved = first < 16 ? 0 : first - 16;
    EXPECT_TRUE(std::equal(content.begin() + static_cast<std::ptrdiff_t>(moved), content.end(),
                           handler_.wanted[handle].begin() + static_cast<std::ptrdiff_t>(moved)));
  }
}

TEST_F(ReplyReaderTest, TellsBlocksFromOtherReplies) {
  const auto tells = [this](std::size_t most = SIZE_MAX) {
    send(most);
    return reader_.receive(mine_.get()).ofBlocks;
  };
  handler_.wanted[1].resize(4096);
  reply(5, 0, 0, {});
  EXPECT_FALSE(tells());
  reply(1, 1, 4096, std::vector<std::byte>(4096));
  EXPECT_TRUE(tells(17));
  EXPECT_TRUE(tells(1));
  EXPECT_TRUE(tells());
  reply(4, 1, 0, {});
  EXPECT_TRUE(tells());
  reply(5, 0, 0, {});
  EXPECT_FALSE(tells());
}

TEST_F(ReplyReaderTest, RepliesThatNobodyAskedForAreAFailure) {
  handler_.mostPlain = 2;
  for (int i = 0; i < 3; ++i) {
    reply(5, 0, 0, {});
  }
  EXPECT_THAT(failureOfStream(), HasSubstr("nobody asked for"));
}

}  // namespace
}  // namespace netcow
