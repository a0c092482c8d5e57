// SPDX-License-Identifier: Apache-2.0
// What a campus asks of netcow, all at once: a mount that knows two servers is edited, uploaded,
// merged and mounted again while each of the servers is killed and started in turn, and while many
// other clients read. Every byte that anybody reads is compared.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "support/block_load.h"
#include "support/seeded_cases.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kImageBytes = 16U << 20U;

/// A server and the other clients that it has.
class BusyServer {
 public:
  BusyServer(const std::string& images, const std::string& state, const Bytes& content, int clients)
      : server_(images, {"--state", state}), options_(options(content, clients)), load_(options_) {
    running_ = std::jthread([this] { result_ = load_.run(3600s); });
  }
  ~BusyServer() { load_.stop(); }
  BusyServer(const BusyServer&) = delete;
  BusyServer& operator=(const BusyServer&) = delete;

  RunningServer& server() { return server_; }
  /// Waits until every client is there and all together had many replies more.
  bool serves() {
    const std::uint64_t wanted = load_.replies() + 10'000;
    return waitUntil(
        [&] { return load_.connected() == options_.clients && load_.replies() >= wanted; }, 120s);
  }
  LoadResult end() {
    load_.stop();
    running_.join();
    return result_;
  }

 private:
  LoadOptions options(const Bytes& content, int clients) {
    LoadOptions options;
    options.port = server_.blocksPort();
    options.image = "lab";
    options.clients = clients;
    options.depth = 2;
    options.size = 50'000;
    options.anySize = true;
    options.sequential = 0.5;
    options.content = content;
    options.imageSize = content.size();
    return options;
  }

  RunningServer server_;
  const LoadOptions options_;
  BlockLoad load_;
  LoadResult result_;
  std::jthread running_;
};

class ServersInTurn : public testing::Test {
 protected:
  ServersInTurn() {
    std::filesystem::create_directory(images_);
    writeFile(images_ + "/lab.r1", lab_);
    writeFile(images_ + "/pc.r1", content_);
    for (const char* name : {"/first", "/second"}) {
      servers_.push_back(
          std::make_unique<BusyServer>(images_, temporary_ / name, lab_, longRun() ? 250 : 20));
    }
  }
  /// Kills one and starts it, then the other; for as long as it may.
  void killInTurn(const std::stop_token& stop) {
    for (std::size_t turn = 0; !stop.stop_requested(); ++turn) {
      BusyServer& busy = *servers_[turn % servers_.size()];
      {
        const std::lock_guard lock(bothAreThere_);
        busy.server().kill();
        busy.server().start();
      }
      EXPECT_TRUE(busy.serves());
      ++kills_;
    }
  }
  Arguments options(const Arguments& more) {
    Arguments all = {
        "-S", "-h",
        servers_[0]->server().blocksAddress() + " " + servers_[1]->server().blocksAddress(), "-i",
        "pc"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void editAndMerge(int round) {
    // A mount that cannot begin its upload says so and ends, so nobody is killed until it is there.
    std::unique_lock lock(bothAreThere_);
    RunningMount mount(temporary_ / "mnt",
                       options({"-c", temporary_ / ("session" + std::to_string(round)), "-C",
                                servers_[0]->server().httpAddress(), "-m", "--min-age", "1"}));
    lock.unlock();
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    const int before = kills_;
    for (int edits = 0; edits < 50 || kills_ < before + 4; ++edits) {
      edit(mount.image());
    }
    const ProcessResult ended = mount.unmount();
    EXPECT_EQ(ended.exitStatus, 0) << ended.output;
  }
  /// Writes at random and reads at random.
  void edit(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(file);
    const std::uint64_t length = random_.between(1, 20'000);
    const Bytes bytes = random_.bytes(length);
    const std::uint64_t at = random_.between(0, kImageBytes - length);
    ASSERT_EQ(::pwrite(file.get(), bytes.data(), length, static_cast<off_t>(at)),
              static_cast<ssize_t>(length));
    std::ranges::copy(bytes, content_.begin() + static_cast<std::ptrdiff_t>(at));
    Bytes seen(length);
    const std::uint64_t from = random_.between(0, kImageBytes - length);
    ASSERT_EQ(::pread(file.get(), seen.data(), length, static_cast<off_t>(from)),
              static_cast<ssize_t>(length));
    ASSERT_TRUE(std::ranges::equal(
        seen, std::span(content_).subspan(static_cast<std::size_t>(from), length)));
  }
  void expectMounted(int revision) {
    std::unique_lock lock(bothAreThere_);
    RunningMount mount(temporary_ / "mnt", options({"-r", std::to_string(revision)}));
    lock.unlock();
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    EXPECT_TRUE(readFile(mount.image()) == content_);
    EXPECT_EQ(mount.unmount().exitStatus, 0);
  }

  SeededRandom random_;
  TemporaryDirectory temporary_;
  const std::string images_ = temporary_ / "images";
  const Bytes lab_ = random_.bytes(kImageBytes);
  Bytes content_ = random_.bytes(kImageBytes);
  std::vector<std::unique_ptr<BusyServer>> servers_;
  std::mutex bothAreThere_;
  std::atomic<int> kills_ = 0;
};

TEST_F(ServersInTurn, AreKilledBesideEditsUploadsMergesAndManyReaders) {
  std::jthread killer([this](const std::stop_token& stop) { killInTurn(stop); });
  const int rounds = longRun() ? 10 : 2;
  for (int round = 1; round <= rounds && !HasFailure(); ++round) {
    editAndMerge(round);
    expectMounted(round + 1);
  }
  killer.request_stop();
  killer.join();
  for (const auto& busy : servers_) {
    const LoadResult result = busy->end();
    EXPECT_EQ(result.wrong, "");
    EXPECT_GT(result.leastReplies, 0U);
    std::cout << result.replies << " replies, " << result.reconnects << " reconnects\n";
  }
  std::cout << kills_ << " kills\n";
}

}  // namespace
}  // namespace netcow::test
