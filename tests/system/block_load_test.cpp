// SPDX-License-Identifier: Apache-2.0
// `netcow serve` with more clients than a lab has, and with clients that mean no good.
#include "support/block_load.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "server/dnbd3_bytes.h"
#include "server/raw_client.h"
#include "support/seeded_cases.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kImageBytes = 64U << 20U;
constexpr std::uint64_t kKib = 1024;

/// Memory of a process that lies in RAM, in bytes.
std::uint64_t residentBytes(const Process& process) {
  std::ifstream status("/proc/" + std::to_string(process.pid()) + "/status");
  for (std::string word; status >> word;) {
    if (word == "VmRSS:") {
      std::uint64_t kib = 0;
      status >> kib;
      return kib * kKib;
    }
  }
  throw std::runtime_error("cannot tell what memory a process has");
}

class BlockLoadTest : public testing::Test {
 protected:
  BlockLoadTest() {
    rlimit limit = {};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    std::filesystem::create_directory(images_);
    writeFile(images_ + "/lab.r1", content_);
  }
  void start(const Arguments& more = {}) {
    server_ = std::make_unique<RunningServer>(images_, more);
  }
  [[nodiscard]] std::uint16_t port() const { return server_->blocksPort(); }
  RawClient selected() {
    RawClient client(port());
    client.send(selectImage("lab", 0));
    client.receive(selectReply("lab", 1, kImageBytes).size());
    return client;
  }
  /// Whether a client that comes now is served, and right.
  void expectService() {
    RawClient client = selected();
    const std::uint64_t offset = random_.between(0, kImageBytes - 70'000);
    client.send(getBlock(offset, 70'000, 7));
    const auto begin = content_.begin() + static_cast<std::ptrdiff_t>(offset);
    EXPECT_TRUE(client.receive(16 + 70'000) == reply(1, 7, {begin, begin + 70'000}));
  }
  LoadOptions load(int clients) {
    LoadOptions options;
    options.port = port();
    options.image = "lab";
    options.clients = clients;
    options.depth = 4;
    options.size = 100'000;
    options.anySize = true;
    options.sequential = 0.5;
    options.content = content_;
    options.imageSize = kImageBytes;
    return options;
  }

  SeededRandom random_;
  TemporaryDirectory temporary_;
  const std::string images_ = temporary_ / "images";
  const Bytes content_ = random_.bytes(kImageBytes);
  std::unique_ptr<RunningServer> server_;
};

TEST_F(BlockLoadTest, GivesManyClientsWhatTheImageHoldsAlsoWhenItIsKilledAndStartedMeanwhile) {
  start();
  const LoadOptions options = load(longRun() ? 2000 : 500);
  BlockLoad clients(options);
  LoadResult result;
  std::thread running([&] { result = clients.run(300s); });
  std::uint64_t wanted = 0;
  const auto runFor = [&](std::uint64_t replies) {
    wanted = clients.replies() + replies;
    EXPECT_TRUE(waitUntil(
        [&] { return clients.connected() == options.clients && clients.replies() >= wanted; },
        120s));
  };
  const std::uint64_t enough = longRun() ? 200'000 : 3'000;
  runFor(enough);
  for (int i = 0; i < (longRun() ? 10 : 2); ++i) {
    server_->kill();
    server_->start();
    runFor(enough);
  }
  server_->stop();  // in order this time
  server_->start();
  runFor(enough);
  clients.stop();
  running.join();
  EXPECT_EQ(result.wrong, "");
  EXPECT_GT(result.leastReplies, 0U);
  std::cout << result.replies << " replies, " << result.reconnects << " reconnects in "
            << result.seconds << " s\n";
}

TEST_F(BlockLoadTest, SpendsLessThan16KibOnAnIdleClient) {
  start();
  constexpr int kClients = 2000;
  std::vector<RawClient> clients;
  const auto add = [&](int count) {
    for (int i = 0; i < count; ++i) {
      clients.push_back(selected());
      // Each has been busy once.
      clients.back().send(getBlock(0, 20'000, 1));
      clients.back().receive(16 + 20'000);
    }
  };
  add(50);
  const std::uint64_t before = residentBytes(server_->process());
  add(kClients);
  const std::uint64_t after = residentBytes(server_->process());
  const double each = (static_cast<double>(after) - static_cast<double>(before)) / kClients;
  std::cout << each << " bytes a client\n";
  EXPECT_LT(each, 16.0 * kKib);
}

TEST_F(BlockLoadTest, ServesOthersWhileHostileClientsDoTheirWorst) {
  start();
  std::vector<RawClient> hostile;
  const Bytes select = selectImage("lab", 0);
  ByteWriter flood;
  for (std::uint64_t i = 0; i < 4096; ++i) {
    flood.raw(getBlock(0, 16U << 20U, i));
  }
  ByteWriter checksums;
  for (std::uint64_t i = 0; i < 4096; ++i) {
    checksums.raw(request(8, 0, 0, i));
  }
  const std::uint64_t before = residentBytes(server_->process());
  constexpr int kEach = 100;
  for (int i = 0; i < kEach; ++i) {
    hostile.emplace_back(port());  // silent
    hostile.emplace_back(port());
    hostile.back().send(std::span(select).first(random_.between(1, select.size() - 1)));
    hostile.push_back(selected());  // asks for much and never reads
    hostile.back().sendWithoutWaiting(flood.bytes(), 5ms);
    hostile.push_back(selected());  // makes small requests and reads nothing
    hostile.back().sendWithoutWaiting(checksums.bytes(), 5ms);
    hostile.push_back(selected());  // half a request
    hostile.back().send(std::span(select).first(random_.between(1, 23)));
    RawClient garbage(port());
    garbage.send(random_.bytes(100));
    EXPECT_TRUE(garbage.receiveUntilClosed().empty());
    if (i % 10 == 0) {
      expectService();
    }
  }
  expectService();
  const std::uint64_t after = residentBytes(server_->process());
  // 1024 requests that wait take 64 KiB; those that want more have to wait themselves.
  EXPECT_LT(after, before + hostile.size() * 128 * kKib);
}

TEST_F(BlockLoadTest, RefusesMoreClientsThanItMayHave) {
  start({"--max-clients", "50"});
  std::vector<RawClient> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(selected());
  }
  for (int i = 0; i < 100; ++i) {
    RawClient refused(port());
    EXPECT_TRUE(refused.receiveUntilClosed().empty());
  }
  clients.back().send(getBlock(5, 10, 1));
  EXPECT_EQ(clients.back().receive(26).size(), 26U) << "those who are there are served";
  EXPECT_NE(server_->process().output().find("see --max-clients"), std::string::npos);
  clients.pop_back();
  EXPECT_TRUE(waitUntil([&] {
    RawClient next(port());
    next.send(selectImage("lab", 0));
    return next.receiveSome(1).size() == 1;
  })) << "one left, so one more may come";
}

TEST_F(BlockLoadTest, FinishesRepliesWhenItIsAskedToEnd) {
  start();
  RawClient client = selected();
  client.send(getBlock(0, 16U << 20U, 9));
  const Bytes first = client.receive(16);
  std::thread ending([&] { server_->stop(); });
  const Bytes rest = client.receive(16U << 20U);
  ending.join();
  EXPECT_TRUE(std::equal(rest.begin(), rest.end(), content_.begin()));
}

}  // namespace
}  // namespace netcow::test
