// SPDX-License-Identifier: Apache-2.0
// The built program on a network that fails.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/unique_fd.h"
#include "support/fault_proxy.h"
#include "support/plain_image.h"
#include "support/scripted_dnbd3_server.h"
#include "support/seeded_cases.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

using std::chrono::milliseconds;
using testing::ContainsRegex;
using testing::HasSubstr;
using SteadyClock = std::chrono::steady_clock;

constexpr std::uint64_t kSize = 64U << 20U;

std::string statusOf(const RunningMount& mount) {
  std::ifstream file(mount.mountpoint() + "/status");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The errno value of a direct read of one block; 0: it gave the right bytes, -1: wrong ones.
int readBlock(const UniqueFd& file, std::uint64_t offset) {
  alignas(4096) std::byte buffer[4096];
  const ssize_t got = ::pread(file.get(), buffer, sizeof buffer, static_cast<off_t>(offset));
  if (got < 0) {
    return errno;
  }
  for (std::size_t i = 0; i < sizeof buffer; ++i) {
    if (got != sizeof buffer || buffer[i] != patternByte(offset + i)) {
      return -1;
    }
  }
  return 0;
}

class NetworkFaultsTest : public testing::Test {
 protected:
  std::unique_ptr<RunningMount> mount(Arguments more = {}) {
    Arguments arguments = {"-h", first_.host().text() + " " + second_.host().text(), "-i", "net"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return std::make_unique<RunningMount>(temporary_ / "mnt", arguments);
  }
  void setBoth(const NetworkFaults& faults) {
    first_.setFaults(faults);
    second_.setFaults(faults);
  }
  TemporaryDirectory temporary_;
  ScriptedDnbd3Server server_{
      {"net", 3}, kSize, [](std::uint64_t offset, std::span<std::byte> buffer) {
        for (std::size_t i = 0; i < buffer.size(); ++i) {
          buffer[i] = patternByte(offset + i);
        }
      }};
  FaultProxy first_{server_.port()};
  FaultProxy second_{server_.port()};
};

TEST_F(NetworkFaultsTest, WithATimeOutReadsFailAndTheMountGoesOn) {
  const auto mounted = mount({"--io-timeout", "0.3"});
  ASSERT_TRUE(mounted->mounted()) << mounted->process().output();
  const UniqueFd file(::open(mounted->image().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  EXPECT_EQ(readBlock(file, 0), 0);
  setBoth({.silent = true});
  EXPECT_EQ(readBlock(file, 8192), EIO);
  setBoth({.down = true});
  EXPECT_EQ(readBlock(file, 16384), EIO);
  setBoth({});
  int error = EIO;
  for (int i = 0; i < 30 && error == EIO; ++i) {
    error = readBlock(file, 8192);
  }
  EXPECT_EQ(error, 0) << statusOf(*mounted);
}

TEST_F(NetworkFaultsTest, WithoutOneReadsWaitForAServerToComeBack) {
  const auto mounted = mount();
  ASSERT_TRUE(mounted->mounted()) << mounted->process().output();
  const UniqueFd file(::open(mounted->image().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  EXPECT_EQ(readBlock(file, 0), 0);
  setBoth({.down = true});
  std::atomic<int> result = -2;
  std::jthread reader([&] { result = readBlock(file, 8192); });
  const auto waits = [&] { return statusOf(*mounted).find("searching") != std::string::npos; };
  while (!waits()) {
    ASSERT_EQ(result, -2);
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_EQ(result, -2);
  second_.setFaults({});
  reader.join();
  EXPECT_EQ(result, 0);
  EXPECT_THAT(statusOf(*mounted),
              ContainsRegex("^Image:    net\nRevision: 3\nServer:   .*\nState:    connected\n"));
}

// Whether it is read from meanwhile or not.
TEST_F(NetworkFaultsTest, AMountEndsAtOnceWhileTheNetworkHangs) {
  for (const NetworkFaults& faults : {NetworkFaults{.silent = true}, NetworkFaults{.down = true}}) {
    setBoth({});
    const auto mounted = mount();
    ASSERT_TRUE(mounted->mounted()) << mounted->process().output();
    const UniqueFd file(::open(mounted->image().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    EXPECT_EQ(readBlock(file, 0), 0);
    setBoth(faults);
    std::atomic<int> result = 0;
    std::jthread reader([&] { result = readBlock(file, 8192); });
    std::this_thread::sleep_for(milliseconds(50));  // else nobody waits, which is fine too
    const auto begin = SteadyClock::now();
    mounted->process().signal(SIGTERM);
    EXPECT_EQ(mounted->wait().exitStatus, 0);
    EXPECT_LT(SteadyClock::now() - begin, std::chrono::seconds(5));
    reader.join();
    EXPECT_NE(result, 0);
  }
}

/// Two `netcow serve` with the same image.
class ServersThatDieTest : public testing::Test {
 protected:
  static std::string imagesOf(const std::string& folder) {
    std::filesystem::create_directory(folder);
    std::vector<std::byte> content(kSize);
    for (std::uint64_t i = 0; i < kSize; ++i) {
      content[i] = patternByte(i);
    }
    writeFile(folder + "/net.r3", content);
    return folder;
  }
  RunningServer& used(const RunningMount& mount) {
    const std::string line = "Server:   " + first_.blocksAddress() + "\n";
    return statusOf(mount).find(line) != std::string::npos ? first_ : second_;
  }
  [[nodiscard]] Arguments options() const {
    return {"-S",
            "-h",
            first_.blocksAddress() + " " + second_.blocksAddress(),
            "-i",
            "net",
            "-c",
            temporary_ / "session"};
  }

  TemporaryDirectory temporary_;
  RunningServer first_{imagesOf(temporary_ / "first")};
  RunningServer second_{imagesOf(temporary_ / "second")};
};

TEST_F(ServersThatDieTest, TheNextAnswerComesFromTheOtherOneInNoTime) {
  RunningMount mount(temporary_ / "mnt", options());
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  const UniqueFd file(::open(mount.image().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  // Far from each other, so that nothing is read ahead.
  std::uint64_t offset = 0;
  auto best = SteadyClock::duration::max();  // the machine may be busy with something else
  for (int round = 0; round < 4; ++round) {
    RunningServer& dying = used(mount);
    dying.kill();
    const auto begin = SteadyClock::now();
    EXPECT_EQ(readBlock(file, offset += 5U << 20U), 0) << statusOf(mount);
    const auto took = SteadyClock::now() - begin;
    EXPECT_LT(took, std::chrono::seconds(10)) << statusOf(mount);
    best = std::min(best, took);
    dying.start();
  }
  EXPECT_LT(best, milliseconds(1500));
}

TEST_F(ServersThatDieTest, ReadersAndWritersWaitUntilOneIsBack) {
  RunningMount mount(temporary_ / "mnt", options());
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  UniqueFd file(::open(mount.image().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
  EXPECT_EQ(readBlock(file, 0), 0);
  first_.kill();
  second_.kill();
  constexpr std::uint64_t kRead = 10U << 20U;
  constexpr std::uint64_t kWritten = 20U << 20U;
  std::atomic<int> read = -2;
  std::atomic<ssize_t> wrote = -2;
  std::jthread reader([&] { read = readBlock(file, kRead); });
  std::jthread writer([&] {
    // Needs the rest of its block. What it writes is what is there, so that it can be compared.
    std::byte part[3000];
    for (std::size_t i = 0; i < sizeof part; ++i) {
      part[i] = patternByte(kWritten + i);
    }
    const UniqueFd cached(::open(mount.image().c_str(), O_WRONLY | O_CLOEXEC));
    wrote = ::pwrite(cached.get(), part, sizeof part, static_cast<off_t>(kWritten));
  });
  EXPECT_TRUE(waitUntil([&] { return statusOf(mount).find("searching") != std::string::npos; }));
  std::this_thread::sleep_for(std::chrono::seconds(longRun() ? 30 : 2));
  EXPECT_EQ(read, -2);
  EXPECT_EQ(wrote, -2);
  second_.start();
  reader.join();
  writer.join();
  EXPECT_EQ(read, 0);
  EXPECT_EQ(wrote, 3000);
  EXPECT_EQ(readBlock(file, kWritten), 0);
  file.reset();
  EXPECT_EQ(mount.unmount().exitStatus, 0);
}

}  // namespace
}  // namespace netcow::test
