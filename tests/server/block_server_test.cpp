// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/block_server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <thread>

#include "server/dnbd3_bytes.h"
#include "server/raw_client.h"
#include "server/test_files.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::Bytes;
using test::ByteWriter;
using test::getBlock;
using test::RawClient;
using test::reply;
using test::request;
using test::selectImage;
using test::selectReply;
using testing::IsEmpty;

constexpr std::uint64_t kOddSize = 20 * 1024 * 1024 + 1234;
constexpr std::uint64_t kServedSize = 20 * 1024 * 1024 + 4096;

class BlockServerTest : public testing::Test {
 protected:
  BlockServerTest() {
    test::writeFile(directory_ / "win.r4", content_);
    content_.resize(kServedSize);
    start({});
  }
  void start(BlockServerOptions options) {
    options.addresses = {{"127.0.0.1", 0}};
    server_.reset();
    server_ = std::make_unique<BlockServer>(catalog_, checksums_, options);
    server_->start();
  }
  RawClient connect() { return RawClient(server_->addresses().front().port); }
  RawClient connectAndSelect() {
    RawClient client = connect();
    client.send(selectImage("win", 4));
    const Bytes expected = selectReply("win", 4, kServedSize);
    EXPECT_EQ(client.receive(expected.size()), expected);
    return client;
  }
  Bytes contentAt(std::uint64_t offset, std::uint64_t length) {
    const auto begin = content_.begin() + static_cast<std::ptrdiff_t>(offset);
    return {begin, begin + static_cast<std::ptrdiff_t>(length)};
  }
  void expectReply(RawClient& client, const Bytes& expected) {
    ASSERT_EQ(client.receive(expected.size()), expected);
  }

  test::SeededRandom random_;
  test::TemporaryDirectory directory_;
  Bytes content_ = random_.bytes(kOddSize);
  ImageCatalog catalog_ = ImageCatalog(directory_.path());
  ChecksumLists checksums_ = ChecksumLists(catalog_, directory_ / ".own");
  std::unique_ptr<BlockServer> server_;
};

TEST_F(BlockServerTest, ServesZerosBehindTheRealEnd) {
  RawClient client = connectAndSelect();
  client.send(getBlock(kServedSize - 8192, 8192, 5));
  expectReply(client, reply(1, 5, contentAt(kServedSize - 8192, 8192)));
}

TEST_F(BlockServerTest, AnswersTwoHundredRequestsSentAtOnce) {
  RawClient client = connectAndSelect();
  std::map<std::uint64_t, std::uint64_t> offsets;
  ByteWriter requests;
  for (std::uint64_t handle = 1; handle <= 200; ++handle) {
    offsets[handle] = random_.between(0, kServedSize / 4096 - 1) * 4096;
    requests.raw(getBlock(offsets[handle], 4096, handle));
  }
  client.send(requests.bytes());
  for (int i = 0; i < 200; ++i) {  // replies may come in any order
    const Bytes answer = client.receive(16 + 4096);
    const auto handle = static_cast<std::uint64_t>(answer[8]);
    ASSERT_EQ(offsets.count(handle), 1U);
    ASSERT_EQ(answer, reply(1, handle, contentAt(offsets[handle], 4096)));
    offsets.erase(handle);
  }
}

TEST_F(BlockServerTest, AnswersARequestForSixteenMebibytes) {
  RawClient client = connectAndSelect();
  const std::uint32_t length = 16 * 1024 * 1024;
  client.send(getBlock(4096 + 7, length, 5));
  expectReply(client, reply(1, 5, contentAt(4096 + 7, length)));
}

TEST_F(BlockServerTest, GoesOnAfterABlockBeyondTheEnd) {
  RawClient client = connectAndSelect();
  client.send(getBlock(kServedSize - 4096, 4097, 5));
  expectReply(client, reply(4, 5));
  client.send(getBlock(kServedSize - 4096, 4096, 6));
  expectReply(client, reply(1, 6, contentAt(kServedSize - 4096, 4096)));
}

TEST_F(BlockServerTest, AnswersAClientThatStopsSendingAtOnce) {
  RawClient client = connect();
  client.send(ByteWriter().raw(selectImage("win", 0)).raw(getBlock(0, 1'000'000, 1)).bytes());
  client.finishSending();
  EXPECT_EQ(client.receiveUntilClosed(), ByteWriter()
                                             .raw(selectReply("win", 4, kServedSize))
                                             .raw(reply(1, 1, contentAt(0, 1'000'000)))
                                             .bytes());
}

TEST_F(BlockServerTest, ClosesOnBadClients) {
  const std::string outside = "../" + directory_.path().filename().string() + "/win";
  for (const Bytes& bad :
       {selectImage(outside, 4), selectImage("win", 3), selectImage("win", 4, 1),
        getBlock(0, 4096, 1), test::bytesOf("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")}) {
    RawClient client = connect();
    client.send(bad);
    EXPECT_THAT(client.receiveUntilClosed(), IsEmpty());
  }
}

TEST_F(BlockServerTest, ServesManyClientsSideBySide) {
  std::vector<RawClient> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(connectAndSelect());
  }
  for (std::uint64_t i = 0; i < clients.size(); ++i) {
    clients[i].send(getBlock(i * 4096, 4096, i));
  }
  for (std::uint64_t i = 0; i < clients.size(); ++i) {
    expectReply(clients[i], reply(1, i, contentAt(i * 4096, 4096)));
  }
}

TEST_F(BlockServerTest, ReadsNoMoreFromAClientThatDoesNotListen) {
  RawClient client = connectAndSelect();
  // Far more than the server queues and both sockets hold together, and nothing is received
  // meanwhile: sending has to get stuck, not the server's memory to grow.
  const Bytes burst = [] {
    ByteWriter requests;
    for (int i = 0; i < 4096; ++i) {
      requests.raw(getBlock(0, 1'000'000, 1));
    }
    return requests.bytes();
  }();
  std::uint64_t sent = 0;
  while (sent < std::uint64_t{64} << 20U) {
    const std::size_t now = client.sendWithoutWaiting(burst, std::chrono::milliseconds(500));
    if (now == 0) {
      break;
    }
    sent += now;
  }
  EXPECT_LT(sent, std::uint64_t{64} << 20U);
}

TEST_F(BlockServerTest, DropsASilentClient) {
  BlockServerOptions options;
  options.longestSilence = std::chrono::milliseconds(100);
  start(options);
  RawClient silent = connect();
  EXPECT_THAT(silent.receiveUntilClosed(), IsEmpty());
  RawClient selected = connectAndSelect();
  EXPECT_THAT(selected.receiveUntilClosed(), IsEmpty());
}

TEST_F(BlockServerTest, KeepsAClientThatSendsKeepAlives) {
  BlockServerOptions options;
  options.longestSilence = std::chrono::milliseconds(1000);
  start(options);
  RawClient client = connectAndSelect();
  for (std::uint64_t i = 0; i < 12; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    client.send(request(5, 0, 0, i));
    expectReply(client, reply(5, i));
  }
}

TEST_F(BlockServerTest, DropsAClientThatTakesNothingThoughItSendsKeepAlives) {
  BlockServerOptions options;
  options.longestSilence = std::chrono::milliseconds(1000);
  start(options);
  RawClient client = connectAndSelect();
  for (std::uint64_t i = 0; i < 4; ++i) {  // more than the system keeps for it
    client.send(getBlock(0, 16 * 1024 * 1024, i));
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  bool dropped = false;
  while (!dropped && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    try {
      client.send(request(5, 0, 0, 9));
    } catch (const std::runtime_error&) {
      dropped = true;
    }
  }
  EXPECT_TRUE(dropped);
}

/// Leaves the process exactly `free` descriptors while it lives.
class FewDescriptors {
 public:
  explicit FewDescriptors(std::size_t free) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit tight = before_;
    tight.rlim_cur = 200;
    ::setrlimit(RLIMIT_NOFILE, &tight);
    for (UniqueFd filler(::dup(STDIN_FILENO)); filler; filler.reset(::dup(STDIN_FILENO))) {
      fillers_.push_back(std::move(filler));
    }
    fillers_.resize(fillers_.size() - free);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
  std::vector<UniqueFd> fillers_;
};

TEST_F(BlockServerTest, AcceptsAgainAfterItRanOutOfDescriptors) {
#if defined(__clang__)
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "the sanitizer needs a pipe to look at memory, and stops without descriptors";
#endif
#endif
  std::optional<FewDescriptors> few(1);
  RawClient waiting = connect();  // takes the last one: the server cannot accept
  waiting.send(selectImage("win", 4));
  EXPECT_FALSE(waiting.hasSomethingWithin(std::chrono::milliseconds(300)));
  few.reset();
  expectReply(waiting, selectReply("win", 4, kServedSize));
}

TEST_F(BlockServerTest, DropsItsClientsWhenItEnds) {
  RawClient client = connectAndSelect();
  server_.reset();
  EXPECT_THAT(client.receiveUntilClosed(), IsEmpty());
}

TEST_F(BlockServerTest, CountsWhatItServes) {
  RawClient silent = connect();
  {
    RawClient client = connectAndSelect();
    client.send(getBlock(0, 5000, 1));
    expectReply(client, reply(1, 1, contentAt(0, 5000)));
    client.send(getBlock(kServedSize, 1, 2));
    expectReply(client, reply(4, 2));
    const BlockFigures figures = server_->figures();
    EXPECT_EQ(figures.clients, 2U);
    EXPECT_EQ(figures.acceptedClients, 2U);
    EXPECT_EQ(figures.requests, 3U);
    EXPECT_EQ(figures.errors, 1U);
    EXPECT_EQ(figures.bytes, 5000U);
    ASSERT_EQ(figures.images.size(), 1U);
    EXPECT_EQ(figures.images[0].image, (ImageName{"win", 4}));
    EXPECT_EQ(figures.images[0].clients, 1U);
    EXPECT_EQ(figures.images[0].requests, 2U);
    EXPECT_EQ(figures.images[0].bytes, 5000U);
    silent.send(getBlock(0, 5000, 1));  // before it selected anything
    silent.receiveUntilClosed();
    EXPECT_EQ(server_->figures().droppedClients, 1U);
  }
  while (server_->figures().clients > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(server_->figures().images[0].clients, 0U);
}

TEST_F(BlockServerTest, KeepsAnImageReadableThatIsReplacedAndThenRemoved) {
  RawClient client = connectAndSelect();
  test::writeFile(directory_ / "new", random_.bytes(4096));
  std::filesystem::rename(directory_ / "new", directory_ / "win.r4");
  client.send(getBlock(1'000'000, 100'000, 1));
  expectReply(client, reply(1, 1, contentAt(1'000'000, 100'000)));
  RawClient later = connect();
  later.send(selectImage("win", 4));
  expectReply(later, selectReply("win", 4, 4096));
  std::filesystem::remove(directory_ / "win.r4");
  client.send(getBlock(kServedSize - 50'000, 50'000, 2));
  expectReply(client, reply(1, 2, contentAt(kServedSize - 50'000, 50'000)));
  RawClient tooLate = connect();
  tooLate.send(selectImage("win", 4));
  EXPECT_THAT(tooLate.receiveUntilClosed(), IsEmpty());
}

TEST_F(BlockServerTest, ReadsWhatIsNotInThePageCache) {
  const UniqueFd file(::open((directory_ / "win.r4").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::fsync(file.get()), 0);
  RawClient client = connectAndSelect();
  for (std::uint64_t i = 1; i <= 20; ++i) {
    ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
    const std::uint64_t length = i % 2 == 0 ? 4096 : 3'000'000;
    const std::uint64_t offset = random_.between(0, kServedSize - length);
    client.send(getBlock(offset, static_cast<std::uint32_t>(length), i));
    expectReply(client, reply(1, i, contentAt(offset, length)));
  }
}

TEST_F(BlockServerTest, SendsZerosForWhatAFileLostSinceItWasSelected) {
  RawClient client = connectAndSelect();
  std::filesystem::resize_file(directory_ / "win.r4", 1'000'000);
  client.send(getBlock(900'000, 300'000, 1));
  Bytes expected = contentAt(900'000, 100'000);
  expected.resize(300'000);
  expectReply(client, reply(1, 1, expected));
}

TEST_F(BlockServerTest, DropsAClientThatSpendsItsTimeBeforeItSelects) {
  BlockServerOptions options;
  options.longestSilence = std::chrono::milliseconds(200);
  start(options);
  RawClient client = connect();
  const Bytes select = selectImage("win", 4);
  const auto began = std::chrono::steady_clock::now();
  // A byte now and then is no sign of life.
  for (std::size_t i = 0; i + 1 < select.size() && !client.hasSomethingWithin({}); ++i) {
    client.send(std::span(select).subspan(i, 1));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (std::chrono::steady_clock::now() - began > std::chrono::seconds(20)) {
      break;
    }
  }
  EXPECT_TRUE(client.hasSomethingWithin(std::chrono::milliseconds(0))) << "the end";
}

TEST_F(BlockServerTest, TakesClientsOverIpv4AndIpv6AtAllItsAddresses) {
  BlockServerOptions options;
  options.longestSilence = std::chrono::seconds(60);
  server_.reset();
  options.addresses = {{"127.0.0.1", 0}, {"::1", 0}};
  server_ = std::make_unique<BlockServer>(catalog_, checksums_, options);
  server_->start();
  const auto addresses = server_->addresses();
  ASSERT_EQ(addresses.size(), 2U);
  EXPECT_EQ(addresses[1].host, "::1");
  EXPECT_NE(addresses[1].port, 0);
  RawClient client = connectAndSelect();
}

}  // namespace
}  // namespace netcow
