// SPDX-License-Identifier: Apache-2.0
#include "server/catalog/image_catalog.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/errors.h"
#include "server/test_files.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

namespace fs = std::filesystem;
using test::bytesOf;
using test::TemporaryDirectory;
using test::writeFile;
using testing::ElementsAre;
using testing::IsEmpty;

class ImageCatalogTest : public testing::Test {
 protected:
  ImageCatalogTest() { fs::create_directory(images_); }

  void add(const std::string& name, const std::string& content = "x") {
    writeFile(images_ / name, bytesOf(content));
  }
  std::vector<std::string> listed() {
    std::vector<std::string> names;
    for (const auto& entry : ImageCatalog(images_).list()) {
      names.push_back(entry.image.fileName());
    }
    return names;
  }
  bool has(const std::string& name, std::uint16_t revision) {
    return ImageCatalog(images_).open(name, revision).has_value();
  }

  TemporaryDirectory directory_;
  fs::path images_ = directory_.path() / "images";
};

TEST_F(ImageCatalogTest, FindsImagesInSubFolders) {
  add("win.r2");
  add("win.r10");
  add("linux/debian 12.r1");
  EXPECT_THAT(listed(), ElementsAre("linux/debian 12.r1", "win.r2", "win.r10"));
  EXPECT_TRUE(has("win", 2));
  EXPECT_TRUE(has("linux/debian 12", 1));
}

TEST_F(ImageCatalogTest, LeavesOutWhatIsNoImage) {
  add("empty.r1", "");
  add("none.r0");
  add("large.r65536");
  add("zero.r01");
  add("plain");
  add("win.r1.crc");
  add(".hidden.r1");
  add(".netcow/inside.r1");
  add("sub/.hidden.r1");
  fs::create_directory(images_ / "folder.r1");
  ASSERT_EQ(::mkfifo((images_ / "pipe.r1").c_str(), 0600), 0);
  EXPECT_THAT(listed(), IsEmpty());
  EXPECT_FALSE(has("empty", 1));
  EXPECT_FALSE(has("folder", 1));
  EXPECT_FALSE(has("pipe", 1));
  EXPECT_FALSE(has(".hidden", 1));
  EXPECT_FALSE(has(".netcow/inside", 1));
  EXPECT_FALSE(has("sub/.hidden", 1));
}

TEST_F(ImageCatalogTest, TakesTheHighestRevisionForZero) {
  add("win.r9");
  add("win.r10");
  add("win.r11", "");  // empty: not an image, so not the latest
  add("window.r99");
  const auto file = ImageCatalog(images_).open("win", 0);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->image(), (ImageName{"win", 10}));
}

TEST_F(ImageCatalogTest, TakesTheHighestRevisionInASubFolder) {
  add("sub/win.r3");
  add("sub/win.r4");
  add("win.r5");
  EXPECT_EQ(ImageCatalog(images_).open("sub/win", 0)->image().revision, 4);
}

TEST_F(ImageCatalogTest, NeverLeavesTheFolder) {
  writeFile(directory_.path() / "secret.r1", bytesOf("secret"));
  add("sub/win.r1");
  for (const std::string name : {"../secret", "sub/../../secret", "./../secret", "sub/../sub/win",
                                 "/secret", "", "/", "..", "sub/", "sub//win", "sub/./win"}) {
    EXPECT_FALSE(has(name, 1)) << name;
    EXPECT_FALSE(has(name, 0)) << name;
  }
  EXPECT_FALSE(has((directory_.path() / "secret").string(), 1));
}

TEST_F(ImageCatalogTest, FollowsOnlyLinksThatStayInside) {
  writeFile(directory_.path() / "secret.r1", bytesOf("secret"));
  writeFile(directory_.path() / "images-other" / "near.r1", bytesOf("secret"));
  add("store/real.r1", "real");
  fs::create_symlink(directory_.path() / "secret.r1", images_ / "out.r1");
  fs::create_symlink("../images-other/near.r1", images_ / "near.r1");
  fs::create_symlink(directory_.path(), images_ / "up");
  fs::create_symlink("store/real.r1", images_ / "relative.r1");
  fs::create_symlink(images_ / "store" / "real.r1", images_ / "absolute.r1");
  fs::create_symlink("store", images_ / "alias");
  fs::create_symlink("nowhere", images_ / "dangling.r1");
  fs::create_symlink("circle.r1", images_ / "circle.r1");
  for (const std::string name : {"out", "near", "up/secret", "dangling", "circle"}) {
    EXPECT_FALSE(has(name, 1)) << name;
    EXPECT_FALSE(has(name, 0)) << name;
  }
  EXPECT_TRUE(has("relative", 1));
  EXPECT_TRUE(has("absolute", 0));
  EXPECT_TRUE(has("alias/real", 1));
}

TEST_F(ImageCatalogTest, ListsAFolderThatHoldsALinkToItself) {
  add("sub/win.r1");
  fs::create_symlink("..", images_ / "sub" / "loop");
  EXPECT_THAT(listed(), ElementsAre("sub/win.r1"));
}

TEST_F(ImageCatalogTest, SeesImagesComeAndGo) {
  const ImageCatalog catalog(images_);
  EXPECT_FALSE(catalog.open("win", 1));
  add("win.r1");
  EXPECT_TRUE(catalog.open("win", 1));
  EXPECT_EQ(catalog.open("win", 0)->image().revision, 1);
  add("win.r2");
  EXPECT_EQ(catalog.open("win", 0)->image().revision, 2);
  fs::remove(images_ / "win.r2");
  EXPECT_EQ(catalog.open("win", 0)->image().revision, 1);
}

TEST_F(ImageCatalogTest, RoundsTheServedSizeUpAndFillsWithZeros) {
  add("odd.r1", std::string(5000, 'o'));
  const auto file = ImageCatalog(images_).open("odd", 1);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->size(), 5000U);
  EXPECT_EQ(file->servedSize(), 8192U);
  test::Bytes buffer(8192, std::byte{0xFF});
  ASSERT_FALSE(file->read(buffer, 0));
  test::Bytes expected = bytesOf(std::string(5000, 'o'));
  expected.resize(8192);
  EXPECT_EQ(buffer, expected);
}

TEST_F(ImageCatalogTest, KeepsAnOpenImageAsItWas) {
  add("win.r1", std::string(4096, 'a'));
  const auto file = ImageCatalog(images_).open("win", 1);
  ASSERT_TRUE(file);
  fs::remove(images_ / "win.r1");
  add("win.r1", std::string(8192, 'b'));
  test::Bytes buffer(4096);
  ASSERT_FALSE(file->read(buffer, 0));
  EXPECT_EQ(buffer, bytesOf(std::string(4096, 'a')));
}

TEST_F(ImageCatalogTest, HidesWhatAGrowingFileGainedSinceItWasOpened) {
  add("win.r1", std::string(5000, 'a'));
  const auto file = ImageCatalog(images_).open("win", 1);
  ASSERT_TRUE(file);
  add("win.r1", std::string(9000, 'a'));
  test::Bytes buffer(8192);
  ASSERT_FALSE(file->read(buffer, 0));
  EXPECT_EQ(buffer[4999], std::byte{'a'});
  EXPECT_EQ(buffer[5000], std::byte{0});
}

TEST_F(ImageCatalogTest, RefusesAFolderThatIsMissing) {
  EXPECT_THROW(ImageCatalog(directory_ / "nowhere"), UserError);
  add("file");
  EXPECT_THROW(ImageCatalog(images_ / "file"), UserError);
}

}  // namespace
}  // namespace netcow
