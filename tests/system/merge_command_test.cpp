// SPDX-License-Identifier: Apache-2.0
// `netcow merge` as people run it: which base it takes, and what it leaves when it does not.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "format/geometry.h"
#include "session/origin.h"
#include "session/session.h"
#include "support/checksummed_file.h"
#include "support/seeded_random.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// A base `pc.r3`, a closed session over it with a change, and a folder for the result.
class MergeCommand : public testing::Test {
 protected:
  MergeCommand() {
    std::filesystem::create_directories(results_);
    makeBase(2 * kClusterSize);
    makeSession();
  }
  void makeBase(std::uint64_t size) {
    SeededRandom random;
    model_ = random.bytes(std::min(size, 2 * kClusterSize));
    writeFile(base_, model_);
    std::filesystem::resize_file(base_, size);
    baseSize_ = size;
  }
  void makeSession() {
    NewSession settings;
    settings.imageName = "rooms/pc";
    settings.baseSize = baseSize_;
    const auto session = Session::create(session_, settings);
    const std::vector<std::byte> change(3 * kBlockSize, std::byte{0x5A});
    EXPECT_FALSE(session->write(change, 10 * kBlockSize));
    std::copy(change.begin(), change.end(), model_.begin() + 10 * kBlockSize);
    EXPECT_FALSE(session->close());
    Origin origin;
    origin.imageName = "rooms/pc";
    origin.revision = 3;
    origin.baseSize = baseSize_;
    origin.source = "server";
    origin.save(session_);
    meta_ = readFile(session_ + "/meta");
    data_ = readFile(session_ + "/data");
  }
  [[nodiscard]] Arguments command(const Arguments& more = {}) const {
    Arguments arguments = {"merge", session_, "--base", base_, "--output", output_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  ProcessResult merge(const Arguments& more = {}) { return runNetcow(command(more)); }

  void expectMerged(const Arguments& more = {}) {
    const ProcessResult result = merge(more);
    EXPECT_EQ(result.exitStatus, 0) << result.output;
    EXPECT_TRUE(readFile(output_) == model_);
    std::filesystem::remove(output_);
    expectUntouched();
  }
  /// One line that holds `text`, exit status 1, nothing left behind.
  void expectRefused(const std::string& text, const Arguments& more = {}) {
    const ProcessResult result = merge(more);
    EXPECT_EQ(result.exitStatus, 1) << result.output;
    EXPECT_THAT(result.output, HasSubstr(text));
    EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
    expectNothingLeft();
  }
  void expectNothingLeft() {
    for (const auto& entry : std::filesystem::directory_iterator(results_)) {
      ADD_FAILURE() << entry.path() << " was left";
    }
    expectUntouched();
  }
  void expectUntouched() {
    EXPECT_TRUE(readFile(session_ + "/meta") == meta_);
    EXPECT_TRUE(readFile(session_ + "/data") == data_);
    EXPECT_FALSE(std::filesystem::exists(session_ + "/live"));
  }

  TemporaryDirectory folder_;
  std::string base_ = folder_ / "pc.r3";
  const std::string session_ = folder_ / "session";
  const std::string results_ = folder_ / "results";
  std::string output_ = results_ + "/new";
  std::uint64_t baseSize_ = 0;
  std::vector<std::byte> model_;
  std::vector<std::byte> meta_;
  std::vector<std::byte> data_;
};

TEST_F(MergeCommand, SaysWhatBecameOfBaseAndChanges) {
  writeChecksumList(base_, checksumsOf(base_));
  const ProcessResult result = merge();
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr(output_ + ": 2621440 bytes; base " + base_),
                                   HasSubstr("1 of 1 checksums compared"),
                                   HasSubstr("3 changed blocks in 1 clusters")));
  EXPECT_TRUE(readFile(output_) == model_);
}

TEST_F(MergeCommand, TakesTheBaseUnderAnyNameButThatOfAnotherRevision) {
  expectMerged();
  std::filesystem::rename(base_, folder_ / "copy.raw");
  base_ = folder_ / "copy.raw";
  expectMerged();
  std::filesystem::rename(base_, folder_ / "pc.r4");
  base_ = folder_ / "pc.r4";
  expectRefused("revision 4, but the session was made from rooms/pc revision 3");
}

TEST_F(MergeCommand, TakesOnlyABaseThatItsChecksumsFit) {
  writeChecksumList(base_, checksumsOf(base_));
  expectMerged();
  expectMerged({"--verify", "all"});
  auto other = readFile(base_);
  other[77] ^= std::byte{1};
  writeFile(base_, other);
  expectRefused("is not what its list of checksums says");
  expectRefused("is not what its list of checksums says", {"--verify", "all"});
  model_[77] = other[77];
  expectMerged({"--verify", "none"});
}

TEST_F(MergeCommand, RefusesABaseWithABrokenList) {
  writeFile(base_ + ".crc", std::vector<std::byte>(8, std::byte{9}));
  expectRefused("its own checksum is wrong");
  writeFile(base_ + ".crc", std::vector<std::byte>(7));
  expectRefused("another length");
}

TEST_F(MergeCommand, RefusesABaseOfAnotherSizeOrKind) {
  std::filesystem::resize_file(base_, 2 * kClusterSize + 1);
  expectRefused("has 2621441 bytes");
  std::filesystem::remove(base_);
  expectRefused("No such file or directory; name the image");
  std::filesystem::create_directory(base_);
  expectRefused("Is a directory; name the image");
}

TEST_F(MergeCommand, NeverReplacesAnything) {
  const auto base = readFile(base_);
  output_ = base_;
  expectRefused("exists already");
  EXPECT_TRUE(readFile(base_) == base);
  output_ = session_;
  expectRefused("exists already");
  output_ = folder_ / "link";
  std::filesystem::create_symlink(folder_ / "nowhere", output_);
  expectRefused("exists already");
}

TEST_F(MergeCommand, WritesNothingIntoTheSession) {
  output_ = session_ + "/new.r4";
  expectRefused("would lie in the session's folder");
  output_ = session_ + "/../session/new.r4";
  expectRefused("would lie in the session's folder");
  std::filesystem::create_directory_symlink(session_, folder_ / "way");
  output_ = folder_ / "way/new.r4";
  expectRefused("would lie in the session's folder");
}

TEST_F(MergeCommand, SaysThatTheFolderOfTheOutputIsMissing) {
  output_ = results_ + "/missing/new";
  expectRefused("cannot create a file in " + results_ + "/missing");
}

TEST_F(MergeCommand, WaitsForNoSessionThatIsInUse) {
  const auto inUse = Session::open(session_);
  const ProcessResult result = merge();
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_THAT(result.output, HasSubstr("in use"));
  EXPECT_FALSE(std::filesystem::exists(output_));
  EXPECT_FALSE(inUse->close());
}

TEST_F(MergeCommand, LeavesNothingOnAFullDisk) {
  if (::mount("tmpfs", results_.c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "needs to be root to mount a small file system";
  }
  expectRefused("no room for the new image");
  ::umount2(results_.c_str(), MNT_DETACH);
}

std::vector<std::byte> readFirst(const std::string& path, std::size_t count) {
  std::vector<std::byte> bytes(count);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(count));
  EXPECT_TRUE(file);
  return bytes;
}

class StoppedMerge : public MergeCommand, public testing::WithParamInterface<int> {};

INSTANTIATE_TEST_SUITE_P(By, StoppedMerge, testing::Values(SIGINT, SIGTERM, SIGHUP),
                         [](const auto& signal) {
                           return std::string(::sigabbrev_np(signal.param));
                         });

TEST_P(StoppedMerge, LeavesNothingBehind) {
  // So much to compare that it goes on until it is stopped; nearly all of it are holes.
  constexpr std::uint64_t kSize = std::uint64_t{1} << 39U;
  std::filesystem::remove_all(session_);
  makeBase(kSize);
  makeSession();
  constexpr std::uint64_t kSpan = 16 * 1024 * 1024;
  std::vector<std::uint32_t> checksums(kSize / kSpan,
                                       plainCrc32(std::vector<std::byte>(kSpan, std::byte{0})));
  checksums[0] = plainCrc32(readFirst(base_, kSpan));
  writeChecksumList(base_, checksums);
  Arguments arguments = command({"--verify", "all"});
  arguments.insert(arguments.begin(), NETCOW_PROGRAM);
  Process process(arguments);
  ASSERT_TRUE(waitUntil([&] { return std::filesystem::exists(session_ + "/live"); }));
  process.signal(GetParam());
  const ProcessResult result = process.wait();
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_THAT(result.output, HasSubstr("stopped by a signal; no image was made"));
  expectNothingLeft();
}

}  // namespace
}  // namespace netcow::test
