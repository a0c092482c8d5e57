// SPDX-License-Identifier: Apache-2.0
// The built program on a network that fails.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/unique_fd.h"
#include "support/fault_proxy.h"
#include "support/plain_image.h"
#include "support/scripted_dnbd3_server.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

using std::chrono::milliseconds;
using testing::ContainsRegex;
using testing::HasSubstr;
using SteadyClock = std::chrono::steady_clock;

constexpr std::uint64_t kSize = 64U << 20U;

class NetworkFaultsTest : public testing::Test {
 protected:
  std::unique_ptr<RunningMount> mount(Arguments more = {}) {
    Arguments arguments = {"-h", first_.host().text() + " " + second_.host().text(), "-i", "net"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return std::make_unique<RunningMount>(temporary_ / "mnt", arguments);
  }
  static std::string statusOf(const RunningMount& mount) {
    std::ifstream file(mount.mountpoint() + "/status");
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  void setBoth(const NetworkFaults& faults) {
    first_.setFaults(faults);
    second_.setFaults(faults);
  }
  /// The errno value of a direct read of one block; 0: it gave the right bytes, -1: wrong ones.
  static int readBlock(const UniqueFd& file, std::uint64_t offset) {
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

}  // namespace
}  // namespace netcow::test
