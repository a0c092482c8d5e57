// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/errors.h"
#include "base/whole_io.h"
#include "support/temporary_directory.h"

namespace netcow::test {
namespace {

namespace fs = std::filesystem;

const CacheRecord kRecord{{"lab/pc", 3}, 2 * kClusterSize, "one:5003 two:5003"};

class CacheFolder : public testing::Test {
 protected:
  std::unique_ptr<Session> open(const CacheRecord& record = kRecord) {
    lock_.reset();
    lock_ = CacheLock::take(folder_);
    return openCacheSession(folder_, record, Clock::system());
  }
  std::string refusal(const CacheRecord& record) {
    try {
      open(record);
    } catch (const UserError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
    return "";
  }
  void fillAndClose() {
    const auto session = open();
    EXPECT_FALSE(session->fillBlocks(0, std::vector<std::byte>(kBlockSize, std::byte{1})));
    EXPECT_FALSE(session->close());
  }

  TemporaryDirectory temporary_;
  const std::string folder_ = temporary_ / "pc.r3";
  std::optional<CacheLock> lock_;
};

TEST_F(CacheFolder, NamesAreFoldersOfTheirOwn) {
  EXPECT_EQ(cacheFolderName({"pc", 1}), "pc.r1");
  EXPECT_EQ(cacheFolderName({"lab/win 10", 65'535}), "lab%2Fwin%2010.r65535");
  EXPECT_EQ(cacheFolderName({"a%2Fb", 1}), "a%252Fb.r1");
  EXPECT_EQ(cacheFolderName({"\xC3\xA4", 2}), "%C3%A4.r2");
  const std::string longName(900, 'x');
  EXPECT_LT(cacheFolderName({longName, 1}).size(), 255U);
  EXPECT_NE(cacheFolderName({longName + "a", 1}), cacheFolderName({longName + "b", 1}));
}

TEST_F(CacheFolder, IsFoundAgain) {
  fillAndClose();
  EXPECT_TRUE(open()->isLocal(0));
  CacheRecord other = kRecord;
  other.servers = "two:5003 three:5003";
  EXPECT_TRUE(open(other)->isLocal(0));
}

TEST_F(CacheFolder, OfAnotherImageIsRefusedAndKept) {
  fillAndClose();
  CacheRecord other = kRecord;
  other.size += kBlockSize;
  EXPECT_NE(refusal(other).find("bytes, but the server's has"), std::string::npos);
  other = kRecord;
  other.image.revision = 4;
  EXPECT_NE(refusal(other).find("revision 3, not of lab/pc revision 4"), std::string::npos);
  other = kRecord;
  other.image.name = "lab/mac";
  EXPECT_NE(refusal(other), "");
  other = kRecord;
  other.servers = "elsewhere:5003";
  EXPECT_NE(refusal(other).find("elsewhere"), std::string::npos);
  EXPECT_TRUE(open()->isLocal(0));
}

TEST_F(CacheFolder, OfSomebodyElseIsRefusedAndKept) {
  fs::create_directory(folder_);
  std::ofstream(folder_ + "/thesis.txt") << "years of work";
  EXPECT_NE(refusal(kRecord).find("is no cache"), std::string::npos);
  removeCacheFolder(folder_);
  EXPECT_EQ(readTextFile(folder_ + "/thesis.txt"), "years of work");
  EXPECT_FALSE(fs::exists(folder_ + "/cache.json"));
}

TEST_F(CacheFolder, OfANewerFormatIsRefusedAndKept) {
  fillAndClose();
  replaceTextFile(folder_ + "/cache.json", R"({"format": 2})", false);
  EXPECT_NE(refusal(kRecord).find("newer"), std::string::npos);
  replaceTextFile(folder_ + "/cache.json", "nonsense", false);
  EXPECT_NE(refusal(kRecord).find("cannot be understood"), std::string::npos);
  EXPECT_TRUE(fs::exists(folder_ + "/data"));
}

TEST_F(CacheFolder, ThatCannotBeOpenedIsMadeAnew) {
  fillAndClose();
  fs::resize_file(folder_ + "/meta", 10);
  EXPECT_FALSE(open()->isLocal(0));
  // As a process leaves it that was killed while it removed or made one.
  fillAndClose();
  fs::remove(folder_ + "/meta");
  EXPECT_FALSE(open()->isLocal(0));
}

TEST_F(CacheFolder, HasOneOwnerAtATime) {
  lock_ = CacheLock::take(folder_);
  ASSERT_TRUE(lock_);
  EXPECT_FALSE(CacheLock::take(folder_));
  lock_.reset();
  EXPECT_TRUE(CacheLock::take(folder_));
}

TEST_F(CacheFolder, IsRemovedWhole) {
  fillAndClose();
  removeCacheFolder(folder_);
  EXPECT_FALSE(fs::exists(folder_));
}

}  // namespace
}  // namespace netcow::test
