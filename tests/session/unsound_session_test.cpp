// SPDX-License-Identifier: Apache-2.0
// Each way a session's files can be wrong is one clear line, and nothing is changed.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "base/errors.h"
#include "session/session.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

struct Damage {
  const char* name;
  std::function<void(const std::string& directory)> apply;
  const char* expected;  ///< a part of the message
};

void overwrite(const std::string& path, std::streamoff offset, std::vector<unsigned char> bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(offset);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(file.good());
}

// Places as docs/formats/session.md says: L1 at 320, the first L2 table at 65536, entries of 64
// bytes.
const Damage kDamages[] = {
    {"MetaMissing", [](const std::string& d) { std::filesystem::remove(d + "/meta"); },
     "the file `meta` is missing"},
    {"DataMissing", [](const std::string& d) { std::filesystem::remove(d + "/data"); },
     "the file `data` is missing"},
    {"MetaEmpty", [](const std::string& d) { std::filesystem::resize_file(d + "/meta", 0); },
     "meta is truncated"},
    {"MetaTruncated",
     [](const std::string& d) { std::filesystem::resize_file(d + "/meta", 48'955'391); },
     "meta is truncated"},
    {"DataTruncated",
     [](const std::string& d) { std::filesystem::resize_file(d + "/data", 1'310'720 + 100); },
     "data is truncated"},
    {"DataEmpty", [](const std::string& d) { std::filesystem::resize_file(d + "/data", 0); },
     "data does not begin with the magic"},
    {"MetaMagic", [](const std::string& d) { overwrite(d + "/meta", 0, {1, 2, 3}); },
     "meta does not begin with the magic"},
    {"MetaEndianness",
     [](const std::string& d) {
       overwrite(d + "/meta", 0, {0xEB, 0xE4, 0x4D, 0x6E, 0x72, 0xF7, 0x82, 0x5E});
     },
     "wrong endianness"},
    {"DataMagic", [](const std::string& d) { overwrite(d + "/data", 0, {0}); },
     "data does not begin with the magic"},
    {"DataEndianness",
     [](const std::string& d) {
       overwrite(d + "/data", 0, {0xEB, 0xE4, 0x4D, 0x6E, 0x72, 0xF7, 0x82, 0x5F});
     },
     "wrong endianness"},
    {"Version", [](const std::string& d) { overwrite(d + "/meta", 16, {2, 0, 0, 0}); },
     "has version 2"},
    {"BitfieldSize", [](const std::string& d) { overwrite(d + "/meta", 40, {80, 0, 0, 0}); },
     "bitfields of 80 bytes"},
    {"TableIndexTooLarge", [](const std::string& d) { overwrite(d + "/meta", 320, {9, 0, 0, 0}); },
     "index out of range"},
    {"TableIndexNegative",
     [](const std::string& d) { overwrite(d + "/meta", 320, {0xFE, 0xFF, 0xFF, 0xFF}); },
     "index out of range"},
    {"TableUsedTwice", [](const std::string& d) { overwrite(d + "/meta", 324, {0, 0, 0, 0}); },
     "uses table 0 twice"},
    {"OffsetTooLarge",
     [](const std::string& d) { overwrite(d + "/meta", 65'536, {0, 0, 0x14, 0, 1}); },
     "offset out of range"},
    {"OffsetOdd", [](const std::string& d) { overwrite(d + "/meta", 65'536, {1}); },
     "offset out of range"},
    {"OffsetUsedTwice",
     [](const std::string& d) {
       // The second cluster gets the offset of the first: 1310720 = 0x140000.
       overwrite(d + "/meta", 65'536 + 64, {0, 0, 0x14, 0, 0, 0, 0, 0});
     },
     "twice"},
    {"BitsWithoutCluster",
     [](const std::string& d) { overwrite(d + "/meta", 65'536 + 5 * 64 + 24, {1}); },
     "without a place in data"},
    {"NameWithoutEnd",
     [](const std::string& d) {
       overwrite(d + "/meta", 120, std::vector<unsigned char>(200, 'x'));
     },
     "does not end"},
};

class UnsoundSession : public testing::TestWithParam<Damage> {};

TEST_P(UnsoundSession, IsRefusedWithOneClearLine) {
  const test::TemporaryDirectory temporary;
  const std::string directory = temporary / "s";
  {
    NewSession settings;
    settings.imageName = "image";
    settings.baseSize = 4 * kClusterSize;
    const auto session = Session::create(directory, settings);
    const std::vector<std::byte> content(2 * kBlockSize, std::byte{1});
    ASSERT_FALSE(session->write(content, kClusterSize - kBlockSize));
    ASSERT_FALSE(session->close());
  }
  GetParam().apply(directory);
  for (const bool inspect : {false, true}) {
    try {
      if (inspect) {
        inspectSession(directory);
      } else {
        Session::open(directory);
      }
      FAIL() << "accepted";
    } catch (const UserError& error) {
      const std::string line = error.what();
      EXPECT_NE(line.find(GetParam().expected), std::string::npos) << line;
      EXPECT_NE(line.find(directory), std::string::npos) << line;
      EXPECT_EQ(line.find('\n'), std::string::npos);
    }
  }
  EXPECT_FALSE(std::filesystem::exists(directory + "/live"));
}

INSTANTIATE_TEST_SUITE_P(Each, UnsoundSession, testing::ValuesIn(kDamages),
                         [](const auto& test) { return test.param.name; });

TEST(OpenSession, ThatIsNoFolderIsRefused) {
  const test::TemporaryDirectory temporary;
  EXPECT_THROW(Session::open(temporary / "missing"), UserError);
}

}  // namespace
}  // namespace netcow
