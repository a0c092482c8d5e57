// SPDX-License-Identifier: Apache-2.0
#include "source/checksum_file.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/errors.h"
#include "support/checksummed_file.h"
#include "support/temporary_directory.h"

namespace netcow::test {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;

constexpr std::uint64_t kSize = (std::uint64_t{16} << 20U) + 1;  // two spans

class ChecksumFile : public testing::Test {
 protected:
  std::string refusal() {
    try {
      readChecksumFile(image_, kSize, "do this");
    } catch (const UserError& error) {
      return error.what();
    }
    return "none";
  }
  TemporaryDirectory folder_;
  const std::string image_ = folder_ / "pc.r1";
};

TEST_F(ChecksumFile, IsReadFromBesideTheImage) {
  writeChecksumList(image_, {5, 6});
  const auto list = readChecksumFile(image_, kSize, "");
  ASSERT_TRUE(list);
  EXPECT_EQ(list->checksum(1), 6U);
}

TEST_F(ChecksumFile, MayBeMissing) {
  EXPECT_FALSE(readChecksumFile(image_, kSize, ""));
}

TEST_F(ChecksumFile, IsRefusedWhenItDoesNotFitOrIsBroken) {
  writeChecksumList(image_, {5});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("another length"), EndsWith("; do this")));
  writeChecksumList(image_, {5, 6});
  std::filesystem::resize_file(image_ + ".crc", 13);
  EXPECT_THAT(refusal(), HasSubstr("another length"));
  std::filesystem::resize_file(image_ + ".crc", 0);
  std::filesystem::resize_file(image_ + ".crc", 12);
  EXPECT_THAT(refusal(), HasSubstr("its own checksum is wrong"));
  std::filesystem::remove(image_ + ".crc");
  std::filesystem::create_directory(image_ + ".crc");
  EXPECT_THAT(refusal(), HasSubstr("another length"));
}

}  // namespace
}  // namespace netcow::test
