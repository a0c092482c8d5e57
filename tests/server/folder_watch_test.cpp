// SPDX-License-Identifier: Apache-2.0
#include "server/catalog/folder_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "server/catalog/image_catalog.h"
#include "server/test_files.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// Waits for what a watch tells.
class FolderWatchTest : public testing::Test {
 protected:
  void watch(FolderWatchOptions options = {.pause = 1ms}) {
    watch_.emplace(directory_.path(), [this] { changed(); }, options);
  }
  void changed() {
    const std::lock_guard lock(mutex_);
    told_ = true;
    telling_.notify_all();
  }
  /// Whether `condition` holds once the watch has told a change, if need be several; it is not
  /// looked at before the first one.
  bool isToldOf(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    std::unique_lock lock(mutex_);
    while (telling_.wait_until(lock, end, [this] { return told_; })) {
      told_ = false;
      lock.unlock();
      if (condition()) {
        return true;
      }
      lock.lock();
    }
    return false;
  }
  fs::path file(const std::string& name) { return directory_.path() / name; }
  void writeImage(const std::string& name, std::size_t size = 4096) {
    test::writeFile(file(name), test::Bytes(size));
  }
  [[nodiscard]] std::function<bool()> has(const std::string& name) const {
    return [this, name] { return catalog_.open(name, 1).has_value(); };
  }

  test::TemporaryDirectory directory_;
  ImageCatalog catalog_ = ImageCatalog(directory_.path());
  std::mutex mutex_;
  std::condition_variable telling_;
  bool told_ = false;
  std::optional<FolderWatch> watch_;
};

TEST_F(FolderWatchTest, TellsOfImagesThatComeChangeAndGo) {
  watch();
  EXPECT_TRUE(watch_->seesAll());
  writeImage("new.r1");
  EXPECT_TRUE(isToldOf(has("new")));
  writeImage("new.r1", 8192);
  EXPECT_TRUE(isToldOf([&] { return catalog_.open("new", 1)->size() == 8192; }));
  fs::rename(file("new.r1"), file("other.r1"));
  EXPECT_TRUE(isToldOf(has("other")));
  const auto before = watch_->changes();
  ASSERT_EQ(::chown(file("other.r1").c_str(), ::geteuid(), ::getegid()), 0);
  EXPECT_TRUE(isToldOf([&] { return watch_->changes() > before; }));
  fs::remove(file("other.r1"));
  EXPECT_TRUE(isToldOf([&] { return !has("other")(); }));
}

TEST_F(FolderWatchTest, TellsOfImagesInFoldersThatComeAndGo) {
  fs::create_directories(file("old/deep"));
  watch();
  writeImage("old/deep/a.r1");
  EXPECT_TRUE(isToldOf(has("old/deep/a")));
  fs::create_directories(file("new/deep"));
  writeImage("new/deep/b.r1");  // perhaps before the folder is watched
  EXPECT_TRUE(isToldOf(has("new/deep/b")));
  fs::rename(file("new"), file("moved"));
  EXPECT_TRUE(isToldOf(has("moved/deep/b")));
  writeImage("moved/deep/c.r1");
  EXPECT_TRUE(isToldOf(has("moved/deep/c")));
  fs::remove_all(file("moved"));
  EXPECT_TRUE(isToldOf([&] { return !has("moved/deep/b")(); }));
}

// The folder's event is the one that does not fit any more.
TEST_F(FolderWatchTest, FindsWhatCameWhileTheKernelsQueueOverflowed) {
  watch({.pause = 2s});
  writeImage("first.r1");
  ASSERT_TRUE(isToldOf(has("first")));  // now it pauses
  for (int file = 0; file < 9000; ++file) {
    // Two changes each, and the queue has 16384 places.
    writeImage("many" + std::to_string(file), 1);
  }
  fs::create_directories(file("late"));
  ASSERT_TRUE(isToldOf([] { return true; }));
  writeImage("late/image.r1");
  EXPECT_TRUE(isToldOf(has("late/image")));
}

TEST_F(FolderWatchTest, SaysThatItDoesNotSeeAllOfMoreFoldersThanItMayWatch) {
  fs::create_directories(file("one"));
  watch({.maxFolders = 2, .pause = 1ms});
  EXPECT_TRUE(watch_->seesAll());
  fs::create_directories(file("two"));
  EXPECT_TRUE(isToldOf([&] { return !watch_->seesAll(); }));
  writeImage("one/a.r1");
  fs::remove_all(file("two"));
  EXPECT_TRUE(isToldOf([&] { return watch_->seesAll(); }));
}

}  // namespace
}  // namespace netcow
