// SPDX-License-Identifier: Apache-2.0
// Several mounts of one image: one owns the cache, the others read through it, and none is ever
// disturbed by what becomes of another.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <thread>

#include "cache/cache_fixture.h"
#include "cache/cache_socket.h"
#include "format/dnbd3_messages.h"
#include "support/process.h"

namespace netcow::test {
namespace {

class SharedCache : public testing::Test {
 protected:
  struct Mount {
    MemorySource* inner = nullptr;
    std::unique_ptr<CachingSource> source;
    [[nodiscard]] std::string check(const std::vector<std::byte>& content, std::uint64_t offset,
                                    std::uint64_t length) const {
      std::vector<std::byte> buffer(length, std::byte{0xEE});
      if (const int error = readNow(*source, buffer, offset)) {
        return "a read failed with " + std::to_string(error);
      }
      return std::memcmp(buffer.data(), content.data() + offset, length) == 0 ? "" : "wrong bytes";
    }
  };
  Mount mount() {
    auto inner = std::make_unique<MemorySource>(content_);
    Mount mount{inner.get(), nullptr};
    CacheOptions options;
    options.folder = temporary_.path();
    options.limit = std::uint64_t{1} << 30U;
    options.servers = "host:5003";
    options.timing = {std::chrono::milliseconds(silence_), std::chrono::milliseconds(100)};
    mount.source = std::make_unique<CachingSource>(std::move(inner), options);
    return mount;
  }
  static bool becomesClient(const Mount& mount) {
    return waitUntil([&] { return mount.source->isClient(); });
  }
  static bool becomesOwner(const Mount& mount) {
    return waitUntil([&] { return mount.source->isOwner(); });
  }
  [[nodiscard]] std::string folder() const { return temporary_ / "lab%2Fpc.r3"; }

  SeededRandom random_;
  TemporaryDirectory temporary_;
  const std::uint64_t size_ = 4 * kClusterSize;
  const std::shared_ptr<const std::vector<std::byte>> content_ =
      std::make_shared<const std::vector<std::byte>>(random_.bytes(size_));
  int silence_ = 20'000;  ///< milliseconds: longer than any pause of a busy machine
};

TEST_F(SharedCache, FetchesEachBlockOnceForAll) {
  const Mount owner = mount();
  const Mount client = mount();
  ASSERT_TRUE(owner.source->isOwner());
  ASSERT_TRUE(becomesClient(client));
  for (std::uint64_t at = 0; at < size_; at += kClusterSize / 2) {
    EXPECT_EQ(client.check(*content_, at, kClusterSize / 2), "");
  }
  EXPECT_EQ(client.inner->reads, 0U);
  EXPECT_EQ(owner.inner->bytes, size_);
  EXPECT_EQ(client.source->statusText(), "memory\nCache:    shared with another mount\n");
}

TEST_F(SharedCache, PassesToAnotherMountWhenTheOwnerEnds) {
  Mount owner = mount();
  const Mount client = mount();
  ASSERT_TRUE(becomesClient(client));
  EXPECT_EQ(client.check(*content_, 0, kClusterSize / 2), "");
  owner.source.reset();
  // Also when nobody reads: the end of the connection says it.
  ASSERT_TRUE(becomesOwner(client));
  EXPECT_EQ(client.check(*content_, 0, kClusterSize / 2), "");
  EXPECT_EQ(client.inner->reads, 0U);
  const Mount third = mount();
  ASSERT_TRUE(becomesClient(third));
  EXPECT_EQ(third.check(*content_, 0, kBlockSize), "");
  EXPECT_EQ(third.inner->reads, 0U);
}

TEST_F(SharedCache, AnErrorOfTheOwnersSourceIsAskedOfTheNetwork) {
  const Mount owner = mount();
  const Mount client = mount();
  ASSERT_TRUE(becomesClient(client));
  owner.inner->failing = true;
  EXPECT_EQ(client.check(*content_, 0, kBlockSize), "");
  EXPECT_EQ(client.inner->reads, 1U);
  EXPECT_TRUE(client.source->isClient());
}

TEST_F(SharedCache, AnotherImageHasAnotherOwner) {
  const Mount owner = mount();
  const Mount client = mount();
  ASSERT_TRUE(becomesClient(client));
  const UniqueFd fd = connectToCache(folder());
  const auto select = dnbd3::encode(dnbd3::SelectRequest{dnbd3::kVersion, "lab/pc", 4});
  ASSERT_GT(::send(fd.get(), select.data(), select.size(), MSG_NOSIGNAL), 0);
  char byte = 0;
  EXPECT_TRUE(waitUntil([&] { return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0; }));
}

/// Many reads under way, from many threads, while owners come and go.
TEST_F(SharedCache, EveryReadIsAnsweredOnceAndRightlyWhileOwnersEnd) {
  Mount owner = mount();
  const Mount client = mount();
  ASSERT_TRUE(becomesClient(client));
  std::atomic<bool> end = false;
  std::atomic<int> wrong = 0;
  std::atomic<std::uint64_t> reads = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&, random = random_.fork()]() mutable {
      while (!end) {
        const std::uint64_t offset = random.between(0, size_ / kBlockSize - 1) * kBlockSize;
        const std::uint64_t length = std::min(random.between(1, 16) * kBlockSize, size_ - offset);
        wrong += client.check(*content_, offset, length).empty() ? 0 : 1;
        ++reads;
      }
    });
  }
  EXPECT_TRUE(waitUntil([&] { return reads > 100; }));
  owner.source.reset();
  EXPECT_TRUE(becomesOwner(client));
  const std::uint64_t before = reads;
  EXPECT_TRUE(waitUntil([&] { return reads > before + 100; }));
  end = true;
  for (auto& reader : readers) {
    reader.join();
  }
  EXPECT_EQ(wrong, 0);
}

/// What an owner that misbehaves does once it is asked for a block.
enum class Fault { silent, ends, endsInAReply, stopsInAReply, nonsense, wrongSize, wrongHandle };

class FaultyOwner : public SharedCache, public testing::WithParamInterface<Fault> {
 protected:
  FaultyOwner() {
    // The folder's lock is held by nobody who reads: as a process that was stopped.
    lock_ = CacheLock::take(folder());
    listener_ = listenInCache(folder());
    thread_ = std::thread([this] { serve(); });
  }
  ~FaultyOwner() override {
    ::shutdown(listener_.get(), SHUT_RDWR);
    end_ = true;
    thread_.join();
  }

 private:
  void serve() {
    std::vector<UniqueFd> held;
    while (!end_) {
      UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
      if (!fd) {
        std::this_thread::yield();
        continue;
      }
      std::byte bytes[512];
      ::recv(fd.get(), bytes, sizeof bytes, 0);
      const auto reply = dnbd3::encode(dnbd3::SelectReply{dnbd3::kVersion, "lab/pc", 3, size_});
      ::send(fd.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
      dnbd3::RequestHeader request;
      if (::recv(fd.get(), &request, sizeof request, MSG_WAITALL) == sizeof request) {
        misbehave(fd.get(), request);
      }
      if (GetParam() != Fault::ends && GetParam() != Fault::endsInAReply) {
        held.push_back(std::move(fd));
      }
    }
  }
  static void misbehave(int fd, const dnbd3::RequestHeader& request) {
    if (GetParam() == Fault::silent || GetParam() == Fault::ends) {
      return;
    }
    dnbd3::ReplyHeader header;
    header.command = static_cast<std::uint16_t>(dnbd3::Command::getBlock);
    header.size = request.size + (GetParam() == Fault::wrongSize ? 1 : 0);
    header.handle = request.handle + (GetParam() == Fault::wrongHandle ? 1 : 0);
    if (GetParam() == Fault::nonsense) {
      header.magic = 0x1234;
    }
    ::send(fd, &header, sizeof header, MSG_NOSIGNAL);
    const std::vector<std::byte> half(request.size / 2, std::byte{0x77});
    ::send(fd, half.data(), half.size(), MSG_NOSIGNAL);
  }

  std::optional<CacheLock> lock_;
  UniqueFd listener_;
  std::atomic<bool> end_ = false;
  std::thread thread_;
};

TEST_P(FaultyOwner, CostsNothingButTheCache) {
  silence_ = 100;
  const Mount client = mount();
  ASSERT_TRUE(becomesClient(client));
  EXPECT_EQ(client.check(*content_, kBlockSize, 3 * kBlockSize), "");
  EXPECT_EQ(client.inner->reads, 1U);
}

INSTANTIATE_TEST_SUITE_P(, FaultyOwner,
                         testing::Values(Fault::silent, Fault::ends, Fault::endsInAReply,
                                         Fault::stopsInAReply, Fault::nonsense, Fault::wrongSize,
                                         Fault::wrongHandle));

}  // namespace
}  // namespace netcow::test
