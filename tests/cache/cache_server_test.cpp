// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "cache/cache_fixture.h"
#include "cache/cache_socket.h"
#include "format/dnbd3_messages.h"
#include "support/process.h"

namespace netcow::test {
namespace {

constexpr std::uint32_t kMiB = 1 << 20;

class CacheServerTest : public testing::Test {
 protected:
  UniqueFd connect() {
    UniqueFd fd = connectToCache(folder_.path());
    const auto select = dnbd3::encode(dnbd3::SelectRequest{dnbd3::kVersion, "lab/pc", 3});
    EXPECT_EQ(::send(fd.get(), select.data(), select.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(select.size()));
    dnbd3::ReplyHeader header;
    EXPECT_TRUE(receive(fd, std::as_writable_bytes(std::span(&header, 1))));
    std::vector<std::byte> payload(header.size);
    EXPECT_TRUE(receive(fd, payload));
    EXPECT_EQ(dnbd3::decodeSelectReply(payload)->size, kMiB);
    return fd;
  }
  static bool receive(const UniqueFd& fd, std::span<std::byte> buffer) {
    while (!buffer.empty()) {
      pollfd polled{fd.get(), POLLIN, 0};
      ::poll(&polled, 1, 20'000);
      const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got <= 0) {
        return false;
      }
      buffer = buffer.subspan(static_cast<std::size_t>(got));
    }
    return true;
  }
  static void ask(const UniqueFd& fd, std::uint64_t offset, std::uint32_t size,
                  std::uint64_t handle) {
    const auto request = dnbd3::blockRequest(offset, size, handle);
    ASSERT_EQ(::send(fd.get(), &request, sizeof request, MSG_NOSIGNAL),
              static_cast<ssize_t>(sizeof request));
  }
  static bool isClosed(const UniqueFd& fd) {
    char byte = 0;
    return waitUntil([&] { return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0; });
  }

  SeededRandom random_;
  TemporaryDirectory folder_;
  const std::shared_ptr<const std::vector<std::byte>> content_ =
      std::make_shared<const std::vector<std::byte>>(random_.bytes(kMiB));
  MemorySource source_{content_};
  CacheServer server_{folder_.path(), source_};
};

TEST_F(CacheServerTest, HoldsLittleForAClientThatTakesNothingAndAnswersItAllTheSame) {
  const UniqueFd fd = connect();
  constexpr std::uint64_t kRequests = 100;
  for (std::uint64_t i = 1; i <= kRequests; ++i) {
    ask(fd, 0, kMiB, i);
  }
  ASSERT_TRUE(waitUntil([&] { return source_.bytes >= CacheServer::kMostPerClient; }));
  // Another one is served meanwhile.
  const UniqueFd other = connect();
  ask(other, 0, kMiB, 1);
  std::vector<std::byte> buffer(sizeof(dnbd3::ReplyHeader) + kMiB);
  ASSERT_TRUE(receive(other, buffer));
  // What is held, what the socket holds, and the other's.
  EXPECT_LE(source_.bytes, CacheServer::kMostPerClient + 4 * kMiB);
  for (std::uint64_t i = 1; i <= kRequests; ++i) {
    ASSERT_TRUE(receive(fd, buffer)) << i;
    EXPECT_EQ(std::memcmp(buffer.data() + sizeof(dnbd3::ReplyHeader), content_->data(), kMiB), 0);
  }
}

TEST_F(CacheServerTest, ClosesOnWhatMakesNoSense) {
  const UniqueFd beyond = connect();
  ask(beyond, kMiB, 4096, 1);
  EXPECT_TRUE(isClosed(beyond));
  const UniqueFd tooLong = connect();
  ask(tooLong, 0, kMiB + 1, 1);
  EXPECT_TRUE(isClosed(tooLong));
  const UniqueFd unselected = connectToCache(folder_.path());
  ask(unselected, 0, 4096, 1);
  EXPECT_TRUE(isClosed(unselected));
  const UniqueFd nonsense = connectToCache(folder_.path());
  const std::string text = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ASSERT_GT(::send(nonsense.get(), text.data(), text.size(), MSG_NOSIGNAL), 0);
  EXPECT_TRUE(isClosed(nonsense));
  EXPECT_EQ(source_.reads, 0U);
}

TEST_F(CacheServerTest, IsForItsUserAlone) {
  struct stat status{};
  ASSERT_EQ(::stat((folder_ / "socket").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

}  // namespace
}  // namespace netcow::test
