// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_space.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/errors.h"
#include "cache/cache_folder.h"
#include "support/temporary_directory.h"

namespace netcow::test {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kMiB = 1 << 20;

class CacheSpaceTest : public testing::Test {
 protected:
  /// A closed cache whose data takes so much.
  void make(const std::string& name, std::uint64_t bytes, int lastUsed) {
    const std::string folder = temporary_ / name;
    const auto lock = CacheLock::take(folder);
    const CacheRecord record{{name, 1}, 64 * kMiB, "host:5003"};
    const auto session = openCacheSession(folder, record, Clock::system());
    ASSERT_FALSE(session->fillBlocks(0, std::vector<std::byte>(bytes, std::byte{1})));
    ASSERT_FALSE(session->close());
    fs::last_write_time(folder + "/lock",
                        fs::file_time_type::clock::now() + std::chrono::seconds(lastUsed));
  }
  bool exists(const std::string& name) { return fs::exists(temporary_ / name); }

  TemporaryDirectory temporary_;
  const CacheSpace space_{temporary_.path(), 32 * kMiB};
};

TEST_F(CacheSpaceTest, GivesWhatTheOthersLeave) {
  EXPECT_EQ(space_.shareOf("mine", kMiB), 32 * kMiB);
  make("a", 4 * kMiB, 0);
  make("mine", 4 * kMiB, 0);
  const std::uint64_t share = space_.shareOf("mine", kMiB);
  EXPECT_LE(share, 28 * kMiB);
  EXPECT_GE(share, 27 * kMiB);
  EXPECT_TRUE(exists("a"));
}

TEST_F(CacheSpaceTest, RemovesWhatWasUnusedForLongestFirst) {
  make("old", 10 * kMiB, -300);
  make("oldest", 10 * kMiB, -400);
  make("new", 10 * kMiB, -200);
  EXPECT_GE(space_.shareOf("mine", 10 * kMiB), 10 * kMiB);
  EXPECT_FALSE(exists("oldest"));
  EXPECT_TRUE(exists("old"));
  EXPECT_TRUE(exists("new"));
}

TEST_F(CacheSpaceTest, RemovesNothingThatIsInUseOrNoCache) {
  make("used", 10 * kMiB, -400);
  const auto lock = CacheLock::take(temporary_ / "used");
  fs::create_directory(temporary_ / "mine.too");
  std::ofstream(temporary_ / "mine.too/data") << std::string(10 * kMiB, 'x');
  EXPECT_LT(space_.shareOf("mine", 32 * kMiB), 23 * kMiB);
  EXPECT_TRUE(exists("used"));
  EXPECT_TRUE(exists("mine.too/data"));
}

TEST_F(CacheSpaceTest, ADefaultLimitLeavesRoomOnTheDisk) {
  const CacheSpace space(temporary_.path(), std::nullopt);
  EXPECT_LE(space.limit(), std::uint64_t{10} << 30U);
  EXPECT_GE(space.limit(), CacheSpace::kLeast);
  EXPECT_LE(space.limit(), std::max(CacheSpace::kLeast, fs::space(temporary_.path()).available));
}

TEST_F(CacheSpaceTest, AFolderThatIsNoneIsRefused) {
  std::ofstream(temporary_ / "file") << "x";
  EXPECT_THROW(CacheSpace(temporary_ / "file", kMiB), UserError);
  EXPECT_THROW(CacheSpace(temporary_ / "file/below", kMiB), UserError);
}

}  // namespace
}  // namespace netcow::test
