// SPDX-License-Identifier: Apache-2.0
// Mounts with --cache as users run them: one after the other, several at once, killed and stopped.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/unique_fd.h"
#include "base/whole_io.h"
#include "format/geometry.h"
#include "support/seeded_random.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

using Bytes = std::vector<std::byte>;

class CacheMount : public testing::Test {
 protected:
  CacheMount() {
    std::filesystem::create_directories(images_);
    writeFile(images_ + "/lab.r1", content_);
    server_ = std::make_unique<RunningServer>(images_);
  }
  std::unique_ptr<RunningMount> mount(const std::string& name, const Arguments& more = {}) {
    Arguments all = {"-h", server_->blocksAddress(), "-i", "lab", "--cache", cache_};
    all.insert(all.end(), more.begin(), more.end());
    auto made = std::make_unique<RunningMount>(temporary_ / name, all);
    EXPECT_TRUE(made->mounted()) << made->process().output();
    return made;
  }
  static std::string status(const RunningMount& mount) {
    return readTextFile(mount.mountpoint() + "/status");
  }
  static bool waitForStatus(const RunningMount& mount, const std::string& text) {
    return waitUntil([&] { return status(mount).find(text) != std::string::npos; });
  }
  /// Past the kernel's cache.
  bool readsRight(const RunningMount& mount, std::uint64_t offset, std::uint64_t length) {
    const UniqueFd fd(::open(mount.image().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    const std::unique_ptr<std::byte, void (*)(void*)> memory(
        static_cast<std::byte*>(std::aligned_alloc(kBlockSize, roundUp(length, kBlockSize))),
        std::free);
    const std::span<std::byte> buffer(memory.get(), length);
    return fd && !preadOrZeros(fd.get(), buffer, offset) &&
           std::equal(buffer.begin(), buffer.end(),
                      content_.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  bool readsAllRight(const RunningMount& mount) { return readsRight(mount, 0, content_.size()); }

  /// Reads at random places until it is destroyed.
  class Load {
   public:
    Load(CacheMount& test, const RunningMount& mount)
        : thread_([this, &test, &mount, random = test.random_.fork()]() mutable {
            while (!end_) {
              const std::uint64_t length = random.between(1, 32) * kBlockSize;
              const std::uint64_t last = (test.content_.size() - length) / kBlockSize;
              wrong_ +=
                  test.readsRight(mount, random.between(0, last) * kBlockSize, length) ? 0 : 1;
              ++reads_;
            }
          }) {}
    ~Load() {
      end_ = true;
      thread_.join();
    }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;
    bool waitForReads(std::uint64_t more) {
      const std::uint64_t before = reads_;
      return waitUntil([&] { return reads_ >= before + more; });
    }
    [[nodiscard]] std::uint64_t wrong() const { return wrong_; }

   private:
    std::atomic<bool> end_ = false;
    std::atomic<std::uint64_t> reads_ = 0;
    std::atomic<std::uint64_t> wrong_ = 0;
    std::thread thread_;
  };

  SeededRandom random_;
  TemporaryDirectory temporary_;
  const std::string images_ = temporary_ / "images";
  const std::string cache_ = temporary_ / "cache";
  const Bytes content_ = random_.bytes(12 * kClusterSize);
  std::unique_ptr<RunningServer> server_;
};

TEST_F(CacheMount, TheNextOneReadsWithoutTheServer) {
  {
    const auto first = mount("first");
    EXPECT_TRUE(readsAllRight(*first));
    ASSERT_TRUE(waitForStatus(*first, "(100 %)"));
    EXPECT_EQ(first->unmount().exitStatus, 0);
  }
  EXPECT_EQ(runNetcow({"check", cache_ + "/lab.r1"}).exitStatus, 0);
  const auto second = mount("second");
  server_->kill();
  EXPECT_TRUE(readsAllRight(*second));
  EXPECT_EQ(second->unmount().exitStatus, 0);
}

TEST_F(CacheMount, TwoShareWhatOneOfThemFetched) {
  const auto first = mount("first");
  const auto second = mount("second");
  ASSERT_TRUE(waitForStatus(*second, "shared with another mount"));
  EXPECT_TRUE(readsAllRight(*second));
  ASSERT_TRUE(waitForStatus(*first, "(100 %)"));
  server_->kill();
  EXPECT_TRUE(readsAllRight(*second));
  EXPECT_TRUE(readsAllRight(*first));
  EXPECT_EQ(second->unmount().exitStatus, 0);
  EXPECT_EQ(first->unmount().exitStatus, 0);
}

TEST_F(CacheMount, OneThatIsKilledUnderLoadDisturbsNobodyAndLeavesACacheThatIsRight) {
  auto first = mount("first");
  const auto second = mount("second");
  ASSERT_TRUE(waitForStatus(*second, "shared with another mount"));
  {
    Load load(*this, *second);
    ASSERT_TRUE(load.waitForReads(50));
    first->process().signal(SIGKILL);
    ASSERT_TRUE(load.waitForReads(50));
    EXPECT_EQ(load.wrong(), 0U);
  }
  ASSERT_TRUE(waitForStatus(*second, " bytes ("));
  EXPECT_TRUE(readsAllRight(*second));
  first.reset();
  // And again with the one that took over, which leaves nobody.
  {
    Load load(*this, *second);
    ASSERT_TRUE(load.waitForReads(20));
    second->process().signal(SIGKILL);
  }
  const auto third = mount("third");
  EXPECT_TRUE(readsAllRight(*third));
  EXPECT_EQ(third->unmount().exitStatus, 0);
}

TEST_F(CacheMount, OneThatIsStoppedDisturbsNobody) {
  const auto first = mount("first");
  const auto second = mount("second");
  ASSERT_TRUE(waitForStatus(*second, "shared with another mount"));
  {
    Load load(*this, *second);
    ASSERT_TRUE(load.waitForReads(50));
    first->process().signal(SIGSTOP);
    EXPECT_TRUE(load.waitForReads(200));
    EXPECT_EQ(load.wrong(), 0U);
  }
  const auto third = mount("third");  // nor is one that comes now
  EXPECT_TRUE(readsAllRight(*third));
  EXPECT_EQ(third->unmount().exitStatus, 0);
  first->process().signal(SIGCONT);
  EXPECT_TRUE(readsAllRight(*first));
  EXPECT_EQ(first->unmount().exitStatus, 0);
  EXPECT_EQ(second->unmount().exitStatus, 0);
}

TEST_F(CacheMount, FetchesTheWholeImageAndThenRests) {
  const auto one = mount("one", {"--prefetch-all"});
  ASSERT_TRUE(waitForStatus(*one, "; complete"));
  server_->kill();
  EXPECT_TRUE(readsAllRight(*one));
  EXPECT_EQ(one->unmount().exitStatus, 0);
}

TEST_F(CacheMount, AWritableOneKeepsItsChangesApart) {
  {
    const auto one = mount("one", {"-c", temporary_ / "session"});
    const UniqueFd fd(::open(one->image().c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_FALSE(pwriteAll(fd.get(), Bytes(3 * kBlockSize, std::byte{1}), 100));
  }
  const auto other = mount("other");
  EXPECT_TRUE(readsAllRight(*other));
  const ProcessResult result =
      runNetcow({"mount", "-f", "-L", cache_ + "/lab.r1", temporary_ / "other"});
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_NE(result.output.find("is a part of a cache"), std::string::npos) << result.output;
}

}  // namespace
}  // namespace netcow::test
