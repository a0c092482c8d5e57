// SPDX-License-Identifier: Apache-2.0
#include "merge/base_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "base/errors.h"
#include "merge/test_files.h"
#include "support/checksummed_file.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using test::checksumsOf;
using test::plainCrc32;
using test::setFileSize;
using test::TemporaryDirectory;
using test::writeAt;
using test::writeChecksumList;
using testing::HasSubstr;

constexpr std::uint64_t kSpan = 16 * 1024 * 1024;
const std::atomic<bool> kNever = false;

/// The one line of a refusal; empty if there was none.
std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const UserError& error) {
    return error.what();
  }
  return {};
}

class VerifiedBase : public testing::Test {
 protected:
  /// Random at the beginning and at the end, holes between.
  void makeBase(std::uint64_t size) {
    test::SeededRandom random(7);
    setFileSize(base_, size);
    writeAt(base_, random.bytes(5000));
    writeAt(base_, random.bytes(5000), size - 5000);
  }
  std::string verify(VerifyBase how) {
    return refusal([&] { result_ = verifyBase(base_, how, kNever); });
  }

  TemporaryDirectory folder_;
  const std::string base_ = folder_ / "pc.r1";
  BaseVerification result_;
};

TEST_F(VerifiedBase, WithoutAListIsTaken) {
  makeBase(10'000);
  EXPECT_EQ(verify(VerifyBase::all), "");
  EXPECT_FALSE(result_.hasList);
}

TEST_F(VerifiedBase, IsTakenWhenItIsWhatItsListSays) {
  for (const std::uint64_t size : {std::uint64_t{8192}, std::uint64_t{8193}, kSpan, kSpan + 5001}) {
    std::filesystem::remove(base_);
    makeBase(size);
    writeChecksumList(base_, checksumsOf(base_));
    EXPECT_EQ(verify(VerifyBase::sample), "") << size;
    EXPECT_EQ(verify(VerifyBase::all), "") << size;
    EXPECT_TRUE(result_.hasList);
    EXPECT_EQ(result_.checked, size <= kSpan ? 1U : 2U);
    EXPECT_EQ(result_.all, result_.checked);
  }
}

TEST_F(VerifiedBase, IsRefusedForOneOtherByteInAnySpan) {
  constexpr std::uint64_t kSize = 3 * kSpan + 5001;
  makeBase(kSize);
  writeChecksumList(base_, checksumsOf(base_));
  for (const std::uint64_t at : {std::uint64_t{0}, kSpan - 1, kSpan, 2 * kSpan + 77, kSize - 1}) {
    const auto before = test::readFrom(base_, at, 1);
    writeAt(base_, std::vector<std::byte>{before[0] ^ std::byte{1}}, at);
    const std::string line = verify(VerifyBase::sample);
    EXPECT_THAT(line, HasSubstr("bytes " + std::to_string(at / kSpan * kSpan) + " to ")) << at;
    EXPECT_THAT(line, HasSubstr("--base"));
    EXPECT_EQ(verify(VerifyBase::none), "");
    writeAt(base_, before, at);
  }
  EXPECT_EQ(verify(VerifyBase::sample), "");
}

TEST_F(VerifiedBase, IsSampledInTheWholeOfItUnlessAllIsAskedFor) {
  constexpr std::uint64_t kSpans = 31;
  makeBase(kSpans * kSpan);
  const auto right = checksumsOf(base_);
  writeChecksumList(base_, right);
  EXPECT_EQ(verify(VerifyBase::sample), "");
  EXPECT_EQ(result_.checked, 16U);
  EXPECT_EQ(result_.all, kSpans);
  const auto isNoticed = [&](std::uint64_t span, VerifyBase how) {
    auto wrong = right;
    wrong[span] ^= 1U;
    writeChecksumList(base_, wrong);
    return !verify(how).empty();
  };
  EXPECT_TRUE(isNoticed(0, VerifyBase::sample));
  EXPECT_TRUE(isNoticed(kSpans - 1, VerifyBase::sample));
  std::uint64_t between = 1;
  while (between < 3 && isNoticed(between, VerifyBase::sample)) {
    ++between;
  }
  ASSERT_LT(between, 3U) << "half of all spans is no sample";
  EXPECT_TRUE(isNoticed(between, VerifyBase::all));
}

TEST_F(VerifiedBase, IsRefusedWithAListThatIsNotSound) {
  makeBase(kSpan + 1);
  auto checksums = checksumsOf(base_);
  writeChecksumList(base_, checksums);
  writeAt(base_ + ".crc", std::vector<std::byte>(1), 0);
  EXPECT_THAT(verify(VerifyBase::sample), HasSubstr("its own checksum is wrong"));
  checksums.pop_back();
  std::filesystem::remove(base_ + ".crc");
  writeChecksumList(base_, checksums);
  EXPECT_THAT(verify(VerifyBase::sample), HasSubstr("another length"));
  std::filesystem::resize_file(base_ + ".crc", 0);
  EXPECT_THAT(verify(VerifyBase::sample), HasSubstr("another length"));
  std::filesystem::remove(base_ + ".crc");
  std::filesystem::create_directory(base_ + ".crc");
  EXPECT_THAT(verify(VerifyBase::sample), HasSubstr("another length"));
  EXPECT_EQ(verify(VerifyBase::none), "");
}

TEST_F(VerifiedBase, StopsWhenCancelled) {
  makeBase(kSpan);
  writeChecksumList(base_, checksumsOf(base_));
  const std::atomic<bool> cancelled = true;
  try {
    verifyBase(base_, VerifyBase::sample, cancelled);
    FAIL() << "did not throw";
  } catch (const std::system_error& error) {
    EXPECT_EQ(toErrno(error.code()), ECANCELED);
  }
}

class FittingBase : public testing::Test {
 protected:
  FittingBase() {
    NewSession settings;
    settings.imageName = "rooms/pc";
    settings.baseSize = 8192;
    session_ = Session::create(folder_ / "session", settings);
    origin_.imageName = "rooms/pc";
    origin_.revision = 3;
    origin_.baseSize = 8192;
    origin_.source = "server";
  }
  /// The refusal of a file of this name and size.
  std::string check(const std::string& name, std::uint64_t size = 8192) {
    setFileSize(folder_ / name, size);
    return refusal([&] { checkBaseFits(folder_ / name, *session_, origin_); });
  }

  TemporaryDirectory folder_;
  std::unique_ptr<Session> session_;
  Origin origin_;
};

TEST_F(FittingBase, HasTheSizeOfTheMountedOneOrLessThanABlockLess) {
  EXPECT_EQ(check("pc", 8192), "");
  EXPECT_EQ(check("pc", 4097), "");
  for (const std::uint64_t size : {4096UL, 8193UL, 12'288UL, 0UL}) {
    EXPECT_THAT(check("pc", size), HasSubstr("has " + std::to_string(size) + " bytes")) << size;
  }
}

TEST_F(FittingBase, WithoutAnOriginIsNotSmallerThanWhatIsVisible) {
  const auto without = [&](std::uint64_t size) {
    setFileSize(folder_ / "pc.r9", size);
    return refusal([&] { checkBaseFits(folder_ / "pc.r9", *session_, std::nullopt); });
  };
  EXPECT_EQ(without(8192), "");
  EXPECT_EQ(without(100'000), "");
  EXPECT_THAT(without(4096), HasSubstr("smaller"));
}

TEST_F(FittingBase, IsNotCalledAnotherImage) {
  EXPECT_THAT(check("mac.r3"), HasSubstr("called mac revision 3, but the session was made from "
                                         "rooms/pc revision 3"));
  EXPECT_EQ(check("copy of pc"), "");
}

TEST_F(FittingBase, IsNotCalledAnotherRevision) {
  EXPECT_EQ(check("pc.r3"), "");
  EXPECT_EQ(check("pc.raw"), "");
  EXPECT_EQ(check("pc.r03"), "") << "no number of a revision begins with 0";
  EXPECT_THAT(check("pc.r2"), HasSubstr("revision 2, but the session was made from rooms/pc "
                                        "revision 3"));
  EXPECT_THAT(check("pc.r33"), HasSubstr("revision 33"));
}

TEST_F(FittingBase, MayBeTheMountedFileWhateverItIsCalled) {
  origin_.source = "file://" + std::filesystem::canonical(folder_.path()).string() + "/pc.r7";
  EXPECT_EQ(check("pc.r7"), "");
  EXPECT_THAT(check("pc.r8"), HasSubstr("revision 8"));
}

TEST_F(FittingBase, IsThereAndAFile) {
  EXPECT_THAT(refusal([&] { checkBaseFits(folder_ / "none", *session_, origin_); }),
              HasSubstr("No such file"));
  EXPECT_THAT(refusal([&] { checkBaseFits(folder_.path(), *session_, origin_); }),
              HasSubstr("Is a directory"));
}

}  // namespace
}  // namespace netcow
