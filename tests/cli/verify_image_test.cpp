// SPDX-License-Identifier: Apache-2.0
// `netcow verify-image`, run as the program, against servers and files that are good and bad.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/checksummed_file.h"
#include "support/process.h"
#include "support/scripted_dnbd3_server.h"
#include "support/temporary_directory.h"

namespace netcow::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kSpan = std::uint64_t{16} << 20U;
/// Zeros, which are quick to make.
constexpr std::uint64_t kSize = 2 * kSpan + 4096;

void fillZeros(std::uint64_t /*offset*/, std::span<std::byte> buffer) {
  std::fill(buffer.begin(), buffer.end(), std::byte{0});
}

class VerifyImage : public testing::Test {
 protected:
  VerifyImage() {
    const std::uint32_t whole = plainCrc32(std::vector<std::byte>(kSpan));
    checksums_ = {whole, whole, plainCrc32(std::vector<std::byte>(4096))};
    script_.checksums = checksumListOf(checksums_);
  }
  static std::vector<std::string> command(const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {NETCOW_PROGRAM, "verify-image"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }
  static ProcessResult run(const std::vector<std::string>& arguments) {
    return runProcess(command(arguments));
  }
  [[nodiscard]] ProcessResult verifyAt(const ScriptedDnbd3Server& server) const {
    return run({"-h", server.host().text(), "-i", image_.name});
  }
  [[nodiscard]] ProcessResult verifyServerWith(Dnbd3Script script) const {
    const ScriptedDnbd3Server server(image_, kSize, fillZeros, std::move(script));
    return verifyAt(server);
  }
  void expectLine(const ProcessResult& result, int status, const std::string& text) const {
    EXPECT_EQ(result.exitStatus, status) << result.output;
    EXPECT_THAT(result.output, HasSubstr(text));
    EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
  }

  const ImageName image_{"lab/pc", 4};
  std::vector<std::uint32_t> checksums_;
  Dnbd3Script script_;
};

TEST_F(VerifyImage, FindsAGoodImageGood) {
  expectLine(verifyServerWith(script_), 0, "lab/pc revision 4: good; all 3 checksums compared");
}

TEST_F(VerifyImage, NamesTheSpanThatDiffers) {
  checksums_[1] ^= 1U;
  script_.checksums = checksumListOf(checksums_);
  const ProcessResult result = verifyServerWith(script_);
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("bytes 16777216 to 33554431: bad: not what the list says, also when "
                              "read a second time\n"),
                    HasSubstr("bad: 1 span of 16 MiB differs"), Not(HasSubstr("bytes 0 to"))));
}

TEST_F(VerifyImage, NamesTheSpanThatCannotBeRead) {
  script_.refuses = [](std::uint64_t offset) { return offset >= 2 * kSpan; };
  const ProcessResult result = verifyServerWith(script_);
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_THAT(result.output, AllOf(HasSubstr("bytes 33554432 to 33558527: cannot be read"),
                                   HasSubstr("not good: 1 span of 16 MiB cannot be read")));
}

TEST_F(VerifyImage, SaysWhatIsWrongWithTheListInOneLine) {
  script_.checksums = {};
  expectLine(verifyServerWith(script_), 1, "has no list of checksums; have its administrator put");
  script_.checksums = checksumListOf({1, 2});
  expectLine(verifyServerWith(script_), 1, "a list of checksums of 12 bytes instead of 16");
  script_.checksums[0] ^= std::byte{1};
  script_.checksums.resize(16);
  expectLine(verifyServerWith(script_), 1, "whose own checksum is wrong");
}

TEST_F(VerifyImage, TellsAProgramWhatItFound) {
  checksums_[0] ^= 1U;
  script_.checksums = checksumListOf(checksums_);
  const ScriptedDnbd3Server server(image_, kSize, fillZeros, script_);
  const auto result =
      run({"--source", "dnbd3://" + server.host().text() + "/lab/pc?revision=4", "--json"});
  EXPECT_EQ(result.exitStatus, 1);
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["good"], false);
  EXPECT_EQ(json["bad"].size(), 1U);
  EXPECT_EQ(json["bad"][0]["length"], kSpan);
  EXPECT_EQ(json["checksumsFrom"], server.host().text());
}

TEST_F(VerifyImage, ChecksALocalFileOfAnySize) {
  const TemporaryDirectory folder;
  const std::string path = folder / "pc.r9";
  std::ofstream(path) << "not a whole block";
  const std::vector<std::string> arguments = {"--source", "file://" + path};
  expectLine(run(arguments), 1, "there is no list of checksums " + path + ".crc");
  writeChecksumList(path, checksumsOf(path));
  expectLine(run(arguments), 0, "pc revision 9: good; all 1 checksum compared");
  std::ofstream(path) << "not a whole BLOCK";
  EXPECT_THAT(run(arguments).output, HasSubstr("bytes 0 to 16: bad"));
}

TEST_F(VerifyImage, StoppedByASignalTellsWhatItFoundSoFar) {
  checksums_[0] ^= 1U;
  script_.checksums = checksumListOf(checksums_);
  ScriptedDnbd3Server server(image_, kSize, fillZeros, script_);
  Dnbd3Script held = script_;
  held.silent = true;
  for (const int signal : {SIGINT, SIGTERM}) {
    server.setScript(script_);
    // Silent from the first block on, and so for ever.
    const auto before = server.counts();
    Process process(command({"-h", server.host().text(), "-i", image_.name}));
    ASSERT_TRUE(server.waitUntil([&](const auto& now) { return now.requests > before.requests; }));
    server.setScript(held);
    process.signal(signal);
    const ProcessResult result = process.wait();
    EXPECT_THAT(result.output, HasSubstr("lab/pc revision 4: "));
    EXPECT_EQ(result.exitStatus, 1) << result.output;
  }
}

TEST_F(VerifyImage, StoppedBeforeAServerAnsweredSaysSo) {
  script_.select = Dnbd3Script::Select::staySilent;
  const ScriptedDnbd3Server server(image_, kSize, fillZeros, script_);
  Process process(command({"-h", server.host().text(), "-i", image_.name}));
  ASSERT_TRUE(server.waitUntil([](const auto& counts) { return counts.selects > 0; }));
  process.signal(SIGINT);
  expectLine(process.wait(), 1, "stopped before anything was compared");
}

TEST_F(VerifyImage, RefusesWrongUsage) {
  expectLine(run({}), 2, "name the image with -h and -i, or with --source");
  expectLine(run({"-h", "127.0.0.1"}), 2, "name the image");
  expectLine(run({"-h", "127.0.0.1", "-i", "../x"}), 2, "cannot be the name of an image");
  expectLine(run({"-h", "127.0.0.1", "-i", "x", "-r", "70000"}), 2, "--rid");
  expectLine(run({"-h", "127.0.0.1", "-i", "x", "--source", "dnbd3://h/x"}), 2, "excludes");
  expectLine(run({"--source", "ftp://h/x"}), 2, "bad source");
}

}  // namespace
}  // namespace netcow::test
