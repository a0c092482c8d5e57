// SPDX-License-Identifier: Apache-2.0
#include "cli/mount_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/errors.h"

namespace netcow {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Arguments = std::vector<std::string>;

constexpr const char* kUuid = "0b2c9c8a-62d5-4c5e-9d2b-7f3f0a1e4d21";

MountCommand parse(const Arguments& arguments) {
  const auto command = parseMountCommand(arguments);
  EXPECT_TRUE(command) << "it printed a text instead";
  return command.value_or(MountCommand{});
}

std::string here(const std::string& name) {
  return (std::filesystem::current_path() / name).string();
}

// --- command lines in use -------------------------------------------------------------------

TEST(MountOptions, TakeTheDeployedCommandLine) {
  const MountCommand command =
      parse({"-f", "-o", "allow_other,max_readahead=262144", "-h", "10.0.0.1 [fd00::2]:5003 sat",
             "-i", "windows/10", "-c", "/tmp/work/cow", "-C", "http://10.0.0.1/cow/",
             "--upload-uuid", kUuid, "--cow-stats-file", "--merge", "/mnt/vm"});
  EXPECT_TRUE(command.foreground);
  EXPECT_THAT(command.fuseOptions, ElementsAre("allow_other,max_readahead=262144"));
  EXPECT_EQ(command.hosts, "10.0.0.1 [fd00::2]:5003 sat");
  EXPECT_EQ(command.image, "windows/10");
  EXPECT_EQ(command.revision, 0);
  EXPECT_EQ(command.sessionDirectory, "/tmp/work/cow");
  EXPECT_FALSE(command.loadSession);
  EXPECT_EQ(command.uploadPrefix, "http://10.0.0.1/cow/");
  EXPECT_EQ(command.transfer.uploadUuid, kUuid);
  EXPECT_TRUE(command.statusFile);
  EXPECT_FALSE(command.statusToLog);
  EXPECT_TRUE(command.merge);
  EXPECT_EQ(command.mountpoint, "/mnt/vm");
}

TEST(MountOptions, TakeTheMountpointAnywhere) {
  const Arguments options = {"-h", "a b", "-S", "-i", "img", "-r", "7", "-o", "ro"};
  for (const std::size_t place : {0U, 2U, 3U, 5U, 7U, 9U}) {
    Arguments arguments = options;
    arguments.insert(arguments.begin() + static_cast<std::ptrdiff_t>(place), "/mnt");
    const MountCommand command = parse(arguments);
    EXPECT_EQ(command.mountpoint, "/mnt") << place;
    EXPECT_EQ(command.hosts, "a b") << place;
    EXPECT_EQ(command.revision, 7) << place;
    EXPECT_TRUE(command.sticky) << place;
    EXPECT_THAT(command.fuseOptions, ElementsAre("ro")) << place;
    EXPECT_THAT(command.sessionDirectory, IsEmpty()) << place;
  }
}

TEST(MountOptions, TakeACache) {
  const MountCommand command =
      parse({"-h", "a", "-i", "i", "--cache", "c", "--cache-size", "20G", "/m"});
  EXPECT_EQ(command.cacheFolder, here("c"));
  EXPECT_EQ(command.cacheSize, std::uint64_t{20} << 30U);
  EXPECT_FALSE(parse({"-h", "a", "-i", "i", "--cache", "c", "/m"}).cacheSize);
}

TEST(MountOptions, TakeLongNamesForShortOnes) {
  const MountCommand command =
      parse({"--host", "a", "--image=img", "--rid", "3", "--sticky", "--option", "ro", "--log",
             "/var/log/n", "--cow", "/c", "--cowServer=sat:5000", "--debug", "/mnt"});
  EXPECT_EQ(command.hosts, "a");
  EXPECT_EQ(command.image, "img");
  EXPECT_EQ(command.revision, 3);
  EXPECT_TRUE(command.sticky);
  EXPECT_THAT(command.fuseOptions, ElementsAre("ro"));
  EXPECT_EQ(command.logFile, "/var/log/n");
  EXPECT_EQ(command.sessionDirectory, "/c");
  EXPECT_EQ(command.uploadPrefix, "sat:5000");
  EXPECT_TRUE(command.debug);
  EXPECT_TRUE(command.foreground) << "debugging stays in the foreground";
}

TEST(MountOptions, TakeLongNamesCutShortWhileTheyAreUnique) {
  const MountCommand command =
      parse({"--hos", "a", "--im=img", "--ri", "3", "--st", "--opt", "ro", "--cow", "/c", "--cowS",
             "sat", "--up", kUuid, "--cow-stats-f", "--me", "/mnt"});
  EXPECT_EQ(command.hosts, "a");
  EXPECT_EQ(command.image, "img");
  EXPECT_EQ(command.revision, 3);
  EXPECT_TRUE(command.sticky);
  EXPECT_THAT(command.fuseOptions, ElementsAre("ro"));
  EXPECT_EQ(command.sessionDirectory, "/c");
  EXPECT_EQ(command.uploadPrefix, "sat");
  EXPECT_EQ(command.transfer.uploadUuid, kUuid);
  EXPECT_TRUE(command.statusFile);
  EXPECT_TRUE(command.merge);
}

TEST(MountOptions, TakeShortOnesTogetherAndWithTheirValues) {
  const MountCommand command =
      parse({"-fdsS", "-ha", "-iimg", "-r2", "-oro", "-oallow_other", "/m"});
  EXPECT_TRUE(command.foreground && command.debug && command.singleThread && command.sticky);
  EXPECT_EQ(command.hosts, "a");
  EXPECT_EQ(command.image, "img");
  EXPECT_EQ(command.revision, 2);
  EXPECT_THAT(command.fuseOptions, ElementsAre("ro", "allow_other"));
}

TEST(MountOptions, LeaveValuesAloneThatLookLikeOptions) {
  EXPECT_EQ(parse({"-h", "a", "-i", "img", "--", "/mnt"}).mountpoint, "/mnt");
  EXPECT_EQ(parse({"-h", "a", "-i", "img", "--", "--hos"}).mountpoint, here("--hos"));
}

TEST(MountOptions, LetTheLastOfTwoWin) {
  const MountCommand command = parse({"-f", "-f", "-h", "a", "-h", "b", "-i", "img", "/mnt"});
  EXPECT_TRUE(command.foreground);
  EXPECT_EQ(command.hosts, "b");
}

TEST(MountOptions, GoOnWithASession) {
  const MountCommand command = parse({"-L", "/c", "-m", "/mnt"});
  EXPECT_EQ(command.sessionDirectory, "/c");
  EXPECT_TRUE(command.loadSession);
  EXPECT_TRUE(command.merge) << "the session may know its server";
}

TEST(MountOptions, KeepASessionLocal) {
  const MountCommand command = parse({"--source", "file:///i.r1", "-c", "/c", "/mnt"});
  EXPECT_EQ(command.source, "file:///i.r1");
  EXPECT_EQ(command.sessionDirectory, "/c");
  EXPECT_THAT(command.uploadPrefix, IsEmpty());
}

TEST(MountOptions, NameTheImageOfAFile) {
  const MountCommand command =
      parse({"--source", "file:///i", "-i", "name", "-r", "65535", "-c", "/c", "-C", "s", "/mnt"});
  EXPECT_EQ(command.image, "name");
  EXPECT_EQ(command.revision, 65'535);
}

TEST(MountOptions, TakeAnAgeInSeconds) {
  const Arguments base = {"-h", "a", "-i", "img", "-c", "/c", "-C", "s", "/mnt"};
  EXPECT_FALSE(parse(base).minAge);
  Arguments withAge = base;
  withAge.insert(withAge.end(), {"--min-age", "5"});
  EXPECT_EQ(parse(withAge).minAge, std::chrono::seconds(5));
}

TEST(MountOptions, TakeSizesWithUnitsOf1024) {
  struct Size {
    const char* text;
    std::uint64_t bytes;
  };
  for (const Size& size :
       {Size{"5000000", 5'000'000}, Size{"2048K", 2'097'152}, Size{"3M", 3'145'728},
        Size{"7g", 7'516'192'768}, Size{"16T", 17'592'186'044'416}}) {
    const MountCommand command =
        parse({"-h", "a", "-i", "img", "-c", "/c", "--max-local", size.text,
               std::string("--max-image-size=") + size.text, "/mnt"});
    EXPECT_EQ(command.maxLocal, size.bytes) << size.text;
    EXPECT_EQ(command.maxImageSize, size.bytes) << size.text;
  }
}

TEST(MountOptions, LimitNothingUnlessTold) {
  const MountCommand command = parse({"-h", "a", "-i", "img", "-c", "/c", "/mnt"});
  EXPECT_FALSE(command.maxLocal);
  EXPECT_FALSE(command.maxImageSize);
}

TEST(MountOptions, ReadAheadUnlessToldNotTo) {
  EXPECT_EQ(parse({"-h", "a", "-i", "img", "/mnt"}).prefetch, 67'108'864U);
  EXPECT_EQ(parse({"-h", "a", "-i", "img", "--prefetch", "1G", "/mnt"}).prefetch, 1'073'741'824U);
  EXPECT_EQ(parse({"-h", "a", "-i", "img", "--prefetch", "0", "/mnt"}).prefetch, 0U);
}

TEST(MountOptions, LimitASessionThatGoesOn) {
  EXPECT_EQ(parse({"-L", "/c", "--max-local", "1G", "/mnt"}).maxLocal, 1'073'741'824U);
}

TEST(MountOptions, MakePathsAbsolute) {
  const MountCommand command =
      parse({"-h", "a", "-i", "img", "-c", "cow", "-l", "./log/../n.log", "./mnt"});
  EXPECT_EQ(command.sessionDirectory, here("cow"));
  EXPECT_EQ(command.logFile, here("n.log"));
  EXPECT_EQ(command.mountpoint, here("mnt"));
}

// --- texts ----------------------------------------------------------------------------------

std::string printed(const Arguments& arguments) {
  testing::internal::CaptureStdout();
  EXPECT_FALSE(parseMountCommand(arguments));
  return testing::internal::GetCapturedStdout();
}

TEST(MountOptions, ShowTheUsageWhenAskedOrWithoutAnyArgument) {
  const std::vector<Arguments> lines = {{}, {"--help"}, {"-H"}, {"--usage"}, {"--us"}};
  for (const Arguments& line : lines) {
    const std::string text = printed(line);
    for (const char* part : {"MOUNTPOINT",       "--host",
                             "--image",          "--rid",
                             "--option",         "--log",
                             "--sticky",         "--debug",
                             "--help",           "--version",
                             "--usage",          "--cow ",
                             "--loadcow",        "--cowServer",
                             "--merge",          "--upload-uuid",
                             "--cow-stats-file", "--cow-stats-stdout",
                             "--source",         "--min-age",
                             "--max-local",      "--max-image-size",
                             "--prefetch"}) {
      EXPECT_THAT(text, HasSubstr(part));
    }
  }
}

TEST(MountOptions, ShowTheVersion) {
  for (const char* option : {"-v", "-V", "--version", "--vers"}) {
    EXPECT_THAT(printed({option}), testing::MatchesRegex("netcow [0-9.]+\n")) << option;
  }
}

// --- wrong usage ----------------------------------------------------------------------------

struct Wrong {
  const char* name;
  Arguments arguments;
  const char* says;
};

void PrintTo(const Wrong& wrong, std::ostream* out) {
  *out << wrong.name;
}

class WrongMountOptions : public testing::TestWithParam<Wrong> {};

TEST_P(WrongMountOptions, AreRefusedWithOneLine) {
  try {
    parseMountCommand(GetParam().arguments);
    ADD_FAILURE() << "taken";
  } catch (const UserError& error) {
    EXPECT_EQ(error.status(), ExitStatus::usage);
    EXPECT_THAT(error.what(), HasSubstr(GetParam().says));
    EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongMountOptions,
    testing::Values(
        Wrong{"NoMountpoint", {"-h", "a", "-i", "img"}, "mountpoint"},
        Wrong{"TwoMountpoints", {"-h", "a", "-i", "img", "/m", "/n"}, "/n"},
        Wrong{"NoServer", {"-i", "img", "/m"}, "no server"},
        Wrong{"NoImage", {"-h", "a", "/m"}, "no image"},
        Wrong{"TwoSources", {"-h", "a", "--source", "file:///i", "/m"}, "--source"},
        Wrong{"NewAndOldSession", {"-h", "a", "-i", "i", "-c", "/c", "-L", "/d", "/m"}, "-L"},
        Wrong{"MergeWithoutSession", {"-h", "a", "-i", "i", "-m", "/m"}, "-m"},
        Wrong{"MergeWithoutServer", {"-h", "a", "-i", "i", "-c", "/c", "-m", "/m"}, "-m"},
        Wrong{"ServerWithoutSession", {"-h", "a", "-i", "i", "-C", "s", "/m"}, "-C"},
        Wrong{"UuidWithoutSession", {"-h", "a", "-i", "i", "--upload-uuid", "u", "/m"}, "session"},
        Wrong{"StatusWithoutSession", {"-h", "a", "-i", "i", "--cow-stats-file", "/m"}, "session"},
        Wrong{"UuidTooLong",
              {"-h", "a", "-i", "i", "-c", "/c", "-C", "s", "--upload-uuid",
               "0b2c9c8a-62d5-4c5e-9d2b-7f3f0a1e4d21x", "/m"},
              "36"},
        Wrong{"RevisionTooLarge", {"-h", "a", "-i", "i", "-r", "65536", "/m"}, "65536"},
        Wrong{
            "RevisionFarTooLarge", {"-h", "a", "-i", "i", "-r", "4294967297", "/m"}, "4294967297"},
        Wrong{"RevisionNegative", {"-h", "a", "-i", "i", "-r", "-1", "/m"}, "-r"},
        Wrong{"RevisionNoNumber", {"-h", "a", "-i", "i", "-r", "7x", "/m"}, "7x"},
        Wrong{"UnknownOption", {"-h", "a", "-i", "i", "--frobnicate", "/m"}, "--frobnicate"},
        Wrong{"ShortForTwo", {"--h", "a", "-i", "i", "/m"}, "--h"},
        Wrong{"ShortForTwoOfOneFamily", {"-h", "a", "-i", "i", "--cow-", "/m"}, "--cow-stats-file"},
        Wrong{"ValueMissing", {"-i", "i", "/m", "-h"}, "host"},
        Wrong{"LimitWithoutSession", {"-h", "a", "-i", "i", "--max-local", "1G", "/m"}, "session"},
        Wrong{"LimitTooSmall",
              {"-h", "a", "-i", "i", "-c", "/c", "--max-local", "1M", "/m"},
              "--max-local"},
        Wrong{"LimitNoNumber",
              {"-h", "a", "-i", "i", "-c", "/c", "--max-local", "much", "/m"},
              "--max-local much is no size"},
        Wrong{"LimitNegative",
              {"-h", "a", "-i", "i", "-c", "/c", "--max-local", "-5M", "/m"},
              "--max-local -5M is no size"},
        Wrong{"LimitOfUnknownUnit",
              {"-h", "a", "-i", "i", "-c", "/c", "--max-local", "5X", "/m"},
              "--max-local 5X is no size"},
        Wrong{"LimitTooLargeForANumber",
              {"-h", "a", "-i", "i", "-c", "/c", "--max-local", "99999999999T", "/m"},
              "--max-local 99999999999T is no size"},
        Wrong{"ImageSizeOfAnOldSession", {"-L", "/c", "--max-image-size", "2T", "/m"}, "-c"},
        Wrong{"ImageSizeWithoutSession",
              {"-h", "a", "-i", "i", "--max-image-size", "2T", "/m"},
              "-c"},
        Wrong{"ImageSizeZero",
              {"-h", "a", "-i", "i", "-c", "/c", "--max-image-size", "0", "/m"},
              "16T"},
        Wrong{"ImageSizeTooLarge",
              {"-h", "a", "-i", "i", "-c", "/c", "--max-image-size", "17T", "/m"},
              "16T"},
        Wrong{"ImageSizeNoNumber",
              {"-h", "a", "-i", "i", "-c", "/c", "--max-image-size", "1..5T", "/m"},
              "--max-image-size 1..5T is no size"},
        Wrong{"PrefetchTooSmall", {"-h", "a", "-i", "i", "--prefetch", "64K", "/m"}, "1M"},
        Wrong{"PrefetchNoNumber",
              {"-h", "a", "-i", "i", "--prefetch", "off", "/m"},
              "off is no size"},
        Wrong{
            "CacheSizeWithoutCache", {"-h", "a", "-i", "i", "--cache-size", "1G", "/m"}, "--cache"},
        Wrong{"PrefetchWithoutCache", {"-h", "a", "-i", "i", "--prefetch-all", "/m"}, "--cache"},
        Wrong{"CacheTooSmall",
              {"-h", "a", "-i", "i", "--cache", "/c", "--cache-size", "1M", "/m"},
              "at least 16M"},
        Wrong{"CacheSizeNoNumber",
              {"-h", "a", "-i", "i", "--cache", "/c", "--cache-size", "big", "/m"},
              "--cache-size big is no size"},
        Wrong{"CacheOfAFile", {"--source", "file:///i", "--cache", "/c", "/m"}, "--cache keeps"},
        Wrong{"CacheInTheSession",
              {"-h", "a", "-i", "i", "-c", "/c", "--cache", "/c/", "/m"},
              "the same folder"},
        Wrong{"AgeNoNumber", {"-h", "a", "-i", "i", "--min-age", "soon", "/m"}, "min-age"}),
    [](const auto& instance) { return instance.param.name; });

TEST(MountOptions, TakeATimeOutForReads) {
  using std::chrono::milliseconds;
  const auto with = [](const std::string& seconds) {
    return parse({"-h", "a", "-i", "b", "--io-timeout", seconds, "/mnt"}).ioTimeout;
  };
  EXPECT_EQ(parse({"-h", "a", "-i", "b", "/mnt"}).ioTimeout, std::nullopt);
  EXPECT_EQ(with("30"), milliseconds(30'000));
  EXPECT_EQ(parse({"-h", "a", "--i", "b", "/mnt"}).image, "b") << "as before there was a time-out";
  EXPECT_EQ(with("0.25"), milliseconds(250));
  EXPECT_EQ(with("0.0001"), milliseconds(1)) << "never the opposite of what was meant";
  EXPECT_EQ(with("0"), std::nullopt);
  for (const std::string wrong : {"-1", "x", "nan", "inf", "1e9"}) {
    EXPECT_THROW(with(wrong), UserError) << wrong;
  }
}

// --- how changes travel ---------------------------------------------------------------------

TEST(MountOptions, TakeHowChangesTravel) {
  const MountCommand command =
      parse({"-h", "a", "-i", "b", "-c", "s", "-C", "sat", "--upload-parallel", "4",
             "--upload-limit", "2M", "--upload-timeout", "1.5", "--token-file", "token",
             "--ca-file", "/etc/ca.pem", "/mnt"});
  EXPECT_EQ(command.transfer.parallel, 4U);
  EXPECT_EQ(command.transfer.bytesPerSecond, 2U << 20U);
  EXPECT_EQ(command.transfer.timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(command.transfer.tokenFile, here("token"));
  EXPECT_EQ(command.transfer.caFile, "/etc/ca.pem");
}

TEST(MountOptions, TakeAThrowAwaySession) {
  EXPECT_TRUE(parse({"-h", "a", "-i", "b", "-c", "s", "--discard-on-exit", "/mnt"}).discardOnExit);
}

TEST(MountOptions, RefuseUploadsThatContradictThemselves) {
  const auto refused = [](const Arguments& more) {
    Arguments arguments = {"-h", "a", "-i", "b"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.push_back("/mnt");
    try {
      static_cast<void>(parseMountCommand(arguments));
      return std::string("none");
    } catch (const UserError& error) {
      EXPECT_EQ(error.status(), ExitStatus::usage);
      return std::string(error.what());
    }
  };
  const Arguments uploading = {"-c", "s", "-C", "sat"};
  const auto with = [&](Arguments more) {
    more.insert(more.begin(), uploading.begin(), uploading.end());
    return refused(more);
  };
  for (const char* rate : {"x", "0", "-5", "4000", "1.5.2"}) {
    EXPECT_THAT(with({"--upload-limit", rate}), HasSubstr("--upload-limit")) << rate;
  }
  EXPECT_THAT(with({"--upload-parallel", "0"}), HasSubstr("--upload-parallel"));
  EXPECT_THAT(with({"--upload-timeout", "-1"}), HasSubstr("--upload-timeout"));
  EXPECT_THAT(with({"--new-upload"}), HasSubstr("-L"));
  EXPECT_THAT(with({"--discard-on-exit"}), HasSubstr("throws them away"));
  EXPECT_THAT(refused({"-L", "s", "--new-upload", "--upload-uuid", kUuid}),
              HasSubstr("leave out one"));
  EXPECT_THAT(refused({"-L", "s", "--discard-on-exit"}), HasSubstr("netcow discard"));
  EXPECT_THAT(refused({"-c", "s", "--discard-on-exit", "-m"}), HasSubstr("-m"));
  EXPECT_THAT(refused({"-c", "s", "--token-file", "t"}), HasSubstr("-C"));
  EXPECT_THAT(refused({"--upload-limit", "1M"}), HasSubstr("session"));
}

}  // namespace
}  // namespace netcow
