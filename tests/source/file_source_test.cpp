// SPDX-License-Identifier: Apache-2.0
#include "source/file_source.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/errors.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using testing::HasSubstr;

class FileSourceTest : public testing::Test {
 protected:
  std::string makeFile(const std::vector<std::byte>& content) {
    const std::string path = directory_ / "base.r1";
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()),
               static_cast<std::streamsize>(content.size()));
    return path;
  }
  static int read(Source& source, std::span<std::byte> buffer, std::uint64_t offset) {
    int result = -1;
    source.read(buffer, offset, [&](std::error_code error) { result = toErrno(error); });
    return result;
  }
  test::TemporaryDirectory directory_;
};

TEST_F(FileSourceTest, ReadsAFileOfOddSizeExactly) {
  const auto content = test::SeededRandom(1).bytes(10'001);
  FileSource source(makeFile(content), {"base", 1});
  EXPECT_EQ(source.size(), 10'001U);
  std::vector<std::byte> whole(content.size());
  EXPECT_EQ(read(source, whole, 0), 0);
  EXPECT_EQ(whole, content);
  std::vector<std::byte> last(1);
  EXPECT_EQ(read(source, last, 10'000), 0);
  EXPECT_EQ(last[0], content.back());
}

TEST_F(FileSourceTest, RefusesRangesOutsideTheFile) {
  FileSource source(makeFile(std::vector<std::byte>(5000)), {"base", 1});
  std::vector<std::byte> buffer(2);
  EXPECT_EQ(read(source, buffer, 4999), EINVAL);
  EXPECT_EQ(read(source, buffer, ~std::uint64_t{0}), EINVAL);
}

TEST_F(FileSourceTest, ReportsAnErrorWhenTheFileWasCutMeanwhile) {
  const std::string path = makeFile(std::vector<std::byte>(8192));
  FileSource source(path, {"base", 1});
  std::filesystem::resize_file(path, 4096 + 10);
  std::vector<std::byte> buffer(4096);
  EXPECT_EQ(read(source, buffer, 0), 0);
  EXPECT_EQ(read(source, buffer, 4096), EIO);
}

TEST_F(FileSourceTest, AnswersWithEioAfterStop) {
  FileSource source(makeFile(std::vector<std::byte>(4096)), {"base", 1});
  source.stop();
  source.stop();
  std::vector<std::byte> buffer(1);
  EXPECT_EQ(read(source, buffer, 0), EIO);
}

TEST_F(FileSourceTest, StatusBeginsAsScriptsExpect) {
  const std::string path = makeFile(std::vector<std::byte>(1));
  const FileSource source(path, {"lab/base", 7});
  EXPECT_EQ(source.statusText(), "Image:    lab/base\nRevision: 7\nFile:     " + path + "\n");
  EXPECT_EQ(source.image(), (ImageName{"lab/base", 7}));
}

TEST_F(FileSourceTest, ExplainsWhatCannotBeABase) {
  const auto complaint = [](const std::string& path) {
    try {
      FileSource source(path, {"base", 1});
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr(path));
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(complaint(directory_ / "missing"), HasSubstr("No such file"));
  EXPECT_THAT(complaint(directory_.path().string()), HasSubstr("neither a file"));
  EXPECT_THAT(complaint(makeFile({})), HasSubstr("empty"));
}

}  // namespace
}  // namespace netcow
