// SPDX-License-Identifier: Apache-2.0
// What users do wrong, and what goes wrong around them: one clear line, the right exit status, and
// nothing lost.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "format/geometry.h"
#include "support/scripted_dnbd3_server.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

struct Mistake {
  const char* name;
  Arguments arguments;  ///< DIR, IMAGE, MNT, FREE, PORT are replaced
  int exitStatus;
  std::string expected;  ///< a part of the one line
};

class BadInput : public testing::TestWithParam<Mistake> {
 protected:
  BadInput() {
    writeFile(temporary_ / "pc.r1", std::vector<std::byte>(kClusterSize, std::byte{1}));
    std::filesystem::create_directories(temporary_ / "mnt");
  }
  [[nodiscard]] std::string filledIn(std::string text) const {
    const auto replace = [&text](const std::string& word, const std::string& by) {
      for (auto at = text.find(word); at != std::string::npos; at = text.find(word)) {
        text.replace(at, word.size(), by);
      }
    };
    replace("IMAGE", "file://" + (temporary_ / "pc.r1"));
    replace("MNT", temporary_ / "mnt");
    replace("DIR", temporary_.path().string());
    replace("PORT", std::to_string(server_.port()));
    return text;
  }

  TemporaryDirectory temporary_;
  ScriptedDnbd3Server server_{{"pc", 1}, std::vector<std::byte>(kClusterSize)};
};

const std::string kUuid37(37, 'u');

const Mistake kMistakes[] = {
    {"NoCommandOfThisName", {"munt"}, 2, "no command `munt`"},
    {"NoImageNamed", {"mount", "-f", "-h", "127.0.0.1:PORT", "MNT"}, 2, "-i"},
    {"UnknownImage",
     {"mount", "-f", "-h", "127.0.0.1:PORT", "-i", "other", "MNT"},
     1,
     "does not have"},
    {"NoServer", {"mount", "-f", "-h", "127.0.0.1:1", "-i", "pc", "MNT"}, 1, "127.0.0.1:1"},
    {"WrongHost", {"mount", "-f", "-h", "pc:99999", "-i", "pc", "MNT"}, 2, "99999"},
    {"WrongSourceUrl", {"mount", "-f", "--source", "http://x/y", "MNT"}, 2, "http://x/y"},
    {"MissingFile", {"mount", "-f", "--source", "file://DIR/none.r1", "MNT"}, 1, "none.r1"},
    {"WrongUploadUrl",
     {"mount", "-f", "--source", "IMAGE", "-c", "DIR/s", "-C", "ftp://x", "MNT"},
     2,
     "ftp://x"},
    {"NoUploadServer",
     {"mount", "-f", "--source", "IMAGE", "-c", "DIR/s", "-C", "127.0.0.1:1", "MNT"},
     1,
     "127.0.0.1:1"},
    {"UuidTooLong",
     {"mount", "-f", "--source", "IMAGE", "-c", "DIR/s", "--upload-uuid", kUuid37, "MNT"},
     2,
     "37 characters, 36 is the most"},
    {"MountpointMissing", {"mount", "-f", "--source", "IMAGE", "DIR/none"}, 1, "DIR/none"},
    {"MountpointIsAFile", {"mount", "-f", "--source", "IMAGE", "DIR/pc.r1"}, 1, "DIR/pc.r1"},
    {"NoMountpoint", {"mount", "-f", "--source", "IMAGE"}, 2, "mountpoint"},
    {"BothNewAndOld",
     {"mount", "-f", "--source", "IMAGE", "-c", "DIR/a", "-L", "DIR/b", "MNT"},
     2,
     "-L"},
    {"MergeWithoutSession", {"mount", "-f", "--source", "IMAGE", "-m", "MNT"}, 2, "-m"},
    {"NoSessionThere", {"mount", "-f", "--source", "IMAGE", "-L", "DIR/s", "MNT"}, 1, "DIR/s"},
    {"RevisionOutOfRange",
     {"mount", "-f", "-h", "127.0.0.1:PORT", "-i", "pc", "-r", "70000", "MNT"},
     2,
     "70000"},
    {"UnknownOption", {"mount", "--frob", "MNT"}, 2, "--frob"},
    {"UnknownMountOption",
     {"mount", "-f", "--source", "IMAGE", "-o", "frob=1", "MNT"},
     2,
     "unknown option(s): `-o frob=1'; leave out"},
    {"TimeOutThatIsNoNumber",
     {"mount", "-f", "-h", "127.0.0.1:PORT", "-i", "pc", "--io-timeout", "soon", "MNT"},
     2,
     "--io-timeout = soon is no number"},
    {"SessionWhereNoneCanBe",
     {"mount", "-f", "--source", "IMAGE", "-c", "/proc/none/session", "MNT"},
     1,
     "/proc/none/session: No such file or directory; make it by hand, or name another"},
    {"LoadOfNothing", {"mount", "-f", "-L", "DIR/none", "MNT"}, 1, "DIR/none does not exist"},
    {"InfoOfNothing", {"info", "DIR/none"}, 1, "DIR/none"},
    {"InfoOfAnyFolder", {"info", "DIR"}, 1, "meta"},
    {"MapOfNothing", {"map", "DIR/none"}, 1, "DIR/none"},
    {"MapOfAnyFolder", {"map", "DIR"}, 1, "meta"},
    {"CheckOfNothing", {"check", "DIR/none"}, 1, "DIR/none"},
    {"RepairOfNothing", {"check", "--repair", "DIR/none"}, 1, "DIR/none"},
    {"ServeWithoutFolder", {"serve"}, 2, "--images"},
    {"ServeOfNothing", {"serve", "--images", "DIR/none"}, 1, "DIR/none"},
    {"ServeOnATakenPort",
     {"serve", "--images", "DIR", "--listen", "127.0.0.1:PORT", "--http", "127.0.0.1:0"},
     1,
     "PORT"},
};

TEST_P(BadInput, IsOneClearLine) {
  Arguments arguments;
  for (const std::string& argument : GetParam().arguments) {
    arguments.push_back(filledIn(argument));
  }
  const ProcessResult result = runNetcow(arguments);
  EXPECT_EQ(result.exitStatus, GetParam().exitStatus) << result.output;
  EXPECT_NE(result.output.find(filledIn(GetParam().expected)), std::string::npos) << result.output;
  EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
}

INSTANTIATE_TEST_SUITE_P(Each, BadInput, testing::ValuesIn(kMistakes),
                         [](const auto& test) { return test.param.name; });

class WritableMount : public testing::Test {
 protected:
  WritableMount() {
    writeFile(temporary_ / "pc.r1", std::vector<std::byte>(8 * kClusterSize, std::byte{1}));
  }
  [[nodiscard]] Arguments local(const std::string& session) const {
    return {"--source", "file://" + (temporary_ / "pc.r1"), "-c", session};
  }
  static ssize_t writeAt(const std::string& path, std::uint64_t offset, std::size_t length) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
    void* memory = nullptr;
    if (!fd || ::posix_memalign(&memory, 4096, length) != 0) {
      return -2;
    }
    std::memset(memory, 7, length);
    const ssize_t put = ::pwrite(fd.get(), memory, length, static_cast<off_t>(offset));
    const int error = errno;
    std::free(memory);
    errno = error;
    return put;
  }

  TemporaryDirectory temporary_;
};

TEST_F(WritableMount, ASessionInUseIsRefusedAndGoesOn) {
  RunningMount mount(temporary_ / "mnt", local(temporary_ / "s"));
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  std::filesystem::create_directories(temporary_ / "other");
  for (const char* option : {"-c", "-L"}) {
    const ProcessResult second =
        runNetcow({"mount", "-f", "--source", "file://" + (temporary_ / "pc.r1"), option,
                   temporary_ / "s", temporary_ / "other"});
    EXPECT_EQ(second.exitStatus, 1);
    EXPECT_NE(second.output.find("in use by process " + std::to_string(mount.process().pid())),
              std::string::npos)
        << second.output;
  }
  EXPECT_EQ(writeAt(mount.image(), 0, 4096), 4096);
  EXPECT_EQ(mount.unmount().exitStatus, 0);
}

TEST_F(WritableMount, AWrongOptionLeavesTheSessionClosed) {
  {
    RunningMount mount(temporary_ / "mnt", local(temporary_ / "s"));
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    ASSERT_EQ(writeAt(mount.image(), 0, 4096), 4096);
    ASSERT_EQ(mount.unmount().exitStatus, 0);
  }
  const ProcessResult wrong =
      runNetcow({"mount", "-f", "-L", temporary_ / "s", "-r", "2", temporary_ / "mnt"});
  EXPECT_EQ(wrong.exitStatus, 1);
  EXPECT_NE(wrong.output.find("made from revision 1"), std::string::npos) << wrong.output;
  EXPECT_FALSE(std::filesystem::exists(temporary_ / "s/live"));
}

TEST_F(WritableMount, AMountpointThatIsMissingMakesNothing) {
  RunningServer server(temporary_.path().string());
  const ProcessResult wrong =
      runNetcow({"mount", "-f", "-h", server.blocksAddress(), "-i", "pc", "-c", temporary_ / "s",
                 "-C", server.httpAddress(), temporary_ / "missing"});
  EXPECT_EQ(wrong.exitStatus, 1);
  EXPECT_FALSE(std::filesystem::exists(temporary_ / "s"));
  for (const auto& entry : std::filesystem::directory_iterator(temporary_ / ".netcow")) {
    EXPECT_FALSE(entry.is_directory()) << "an upload was made: " << entry.path();
  }
}

TEST_F(WritableMount, EndingTheCommandBeforeItIsMountedEndsIt) {
  ScriptedDnbd3Server::Script silent;
  silent.select = Dnbd3Script::Select::staySilent;
  ScriptedDnbd3Server server({"pc", 1}, std::vector<std::byte>(kClusterSize), silent);
  std::filesystem::create_directories(temporary_ / "mnt");
  Process mount(
      {NETCOW_PROGRAM, "mount", "-h", server.host().text(), "-i", "pc", temporary_ / "mnt"});
  ASSERT_TRUE(server.waitUntil([](const auto& counts) { return counts.selects > 0; }));
  mount.signal(SIGTERM);
  const ProcessResult result = mount.wait();
  EXPECT_EQ(result.exitStatus, 1);
  EXPECT_NE(result.output.find("stopped before anything was mounted"), std::string::npos)
      << result.output;
}

TEST_F(WritableMount, BeyondTheMaximumIsTooBig) {
  RunningMount mount(temporary_ / "mnt", local(temporary_ / "s"));
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  EXPECT_EQ(writeAt(mount.image(), 1'000'000'000'000 / 4096 * 4096 + 4096, 4096), -1);
  EXPECT_EQ(errno, EFBIG);
  EXPECT_EQ(::truncate(mount.image().c_str(), 1'000'000'000'001), -1);
  EXPECT_EQ(errno, EFBIG);
  EXPECT_EQ(std::filesystem::file_size(mount.image()), 8 * kClusterSize);
  EXPECT_EQ(mount.unmount().exitStatus, 0);
}

TEST_F(WritableMount, AFullDiskIsTheWritersErrorAndTheSessionGoesOnWhenThereIsRoom) {
  const std::string disk = temporary_ / "disk";
  std::filesystem::create_directories(disk);
  ASSERT_EQ(::mount("none", disk.c_str(), "tmpfs", 0, "size=4m"), 0) << std::strerror(errno);
  const struct Unmount {
    const std::string path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmountAtEnd{disk};
  {
    RunningMount mount(temporary_ / "mnt", local(disk + "/s"));
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    std::uint64_t written = 0;
    while (written < 8 * kClusterSize && writeAt(mount.image(), written, 64 * 1024) == 64 * 1024) {
      written += 64 * 1024;
    }
    ASSERT_LT(written, 8 * kClusterSize);
    EXPECT_EQ(errno, ENOSPC);
    ASSERT_EQ(::mount("none", disk.c_str(), "tmpfs", MS_REMOUNT, "size=64m"), 0);
    EXPECT_EQ(writeAt(mount.image(), written, 64 * 1024), 64 * 1024);
    const auto content = readFile(mount.image());
    for (std::uint64_t i = 0; i < content.size(); i += 512) {
      ASSERT_EQ(content[i], i < written + 64 * 1024 ? std::byte{7} : std::byte{1}) << i;
    }
    EXPECT_EQ(mount.unmount().exitStatus, 0) << mount.process().output();
  }
  RunningMount again(temporary_ / "mnt", {"-L", disk + "/s"});
  ASSERT_TRUE(again.mounted()) << again.process().output();
  EXPECT_EQ(readFile(again.image())[0], std::byte{7});
  EXPECT_EQ(again.unmount().exitStatus, 0);
}

TEST_F(WritableMount, ADamagedSessionIsRefused) {
  {
    RunningMount mount(temporary_ / "mnt", local(temporary_ / "s"));
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    ASSERT_EQ(writeAt(mount.image(), 0, 4096), 4096);
    ASSERT_EQ(mount.unmount().exitStatus, 0);
  }
  std::filesystem::resize_file(temporary_ / "s/data", 4096);
  for (const Arguments& arguments :
       {Arguments{"mount", "-f", "-L", temporary_ / "s", temporary_ / "mnt"},
        Arguments{"info", temporary_ / "s"}}) {
    const ProcessResult result = runNetcow(arguments);
    EXPECT_EQ(result.exitStatus, 1);
    EXPECT_NE(result.output.find("data is truncated"), std::string::npos) << result.output;
  }
}

/// A server that breaks the protocol now and then never gives wrong data to the reader.
TEST_F(WritableMount, AServerThatBreaksTheProtocolIsLeftAndReadsGoOn) {
  using Fault = Dnbd3Script::Fault;
  for (const Fault fault :
       {Fault::wrongMagic, Fault::tooLong, Fault::tooShort, Fault::unknownHandle}) {
    SCOPED_TRACE(static_cast<int>(fault));
    std::vector<std::byte> content(2 * kClusterSize);
    for (std::size_t i = 0; i < content.size(); ++i) {
      content[i] = static_cast<std::byte>(i * 7 / 512);
    }
    ScriptedDnbd3Server::Script script;
    script.fault = fault;
    script.faultEvery = 7;
    ScriptedDnbd3Server server({"pc", 1}, content, script);
    RunningMount mount(temporary_ / "mnt", {"-h", server.host().text(), "-i", "pc"});
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    EXPECT_TRUE(readFile(mount.image()) == content);
    EXPECT_EQ(mount.unmount().exitStatus, 0);
  }
}

}  // namespace
}  // namespace netcow::test
