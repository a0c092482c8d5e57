// SPDX-License-Identifier: Apache-2.0
// Serve, mount, edit, upload, merge: the new revision must be byte for byte what a local copy of
// the image is after the same edits.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/unique_fd.h"
#include "base/whole_io.h"
#include "format/geometry.h"
#include "session/session.h"
#include "support/seeded_random.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

using Bytes = std::vector<std::byte>;

class EndToEnd : public testing::Test {
 protected:
  /// Makes the image and serves it.
  void serve(std::uint64_t size) {
    std::filesystem::create_directories(images_);
    content_ = random_.bytes(size);
    writeFile(images_ + "/pc.r1", content_);
    server_ = std::make_unique<RunningServer>(images_);
  }
  Arguments writable(const Arguments& more = {}) {
    Arguments all = {
        "-h", server_->blocksAddress(), "-i", "pc", "-c", session_, "-C", server_->httpAddress(),
        "-m", "--cow-stats-file"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  void write(const std::string& path, std::uint64_t offset, std::uint64_t length) {
    const Bytes bytes = random_.bytes(length);
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(fd);
    ASSERT_EQ(::pwrite(fd.get(), bytes.data(), length, static_cast<off_t>(offset)),
              static_cast<ssize_t>(length));
    if (content_.size() < offset + length) {
      content_.resize(offset + length);
    }
    std::copy(bytes.begin(), bytes.end(), content_.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  void resize(const std::string& path, std::uint64_t size) {
    ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(size)), 0) << std::strerror(errno);
    content_.resize(size);
  }
  void editAtRandom(const std::string& path, int edits) {
    for (int i = 0; i < edits; ++i) {
      write(path, random_.between(0, content_.size() - 1), random_.between(1, 20'000));
    }
  }
  /// Revision 2 appears, and is what the local copy is.
  void expectMerged() {
    const std::string path = images_ + "/pc.r2";
    ASSERT_TRUE(waitUntil([&path] { return std::filesystem::exists(path); }));
    EXPECT_EQ(std::filesystem::file_size(path), content_.size());
    EXPECT_TRUE(readFile(path) == content_) << path << " differs from the local copy";
  }
  /// The image as every server exports it: whole blocks, also when an edit gave it another end.
  [[nodiscard]] Bytes exported() const {
    Bytes content = content_;
    content.resize(roundUp(content.size(), kBlockSize));
    return content;
  }
  std::string statusState() {
    std::ifstream file(session_ + "/status");
    std::string line;
    while (std::getline(file, line)) {
      if (line.rfind("state=", 0) == 0) {
        return line.substr(6);
      }
    }
    return {};
  }

  SeededRandom random_;
  TemporaryDirectory temporary_;
  const std::string images_ = temporary_ / "images";
  const std::string session_ = temporary_ / "session";
  const std::string mountpoint_ = temporary_ / "mnt";
  Bytes content_;
  std::unique_ptr<RunningServer> server_;
};

TEST_F(EndToEnd, EditsBecomeTheNextRevision) {
  serve(9 * kClusterSize + 5 * kBlockSize);
  RunningMount mount(mountpoint_, writable());
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  editAtRandom(mount.image(), 60);
  const ProcessResult result = mount.unmount();
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  EXPECT_EQ(statusState(), "done");
  expectMerged();

  // Exported without a restart, as the latest.
  RunningMount next(temporary_ / "next", {"-h", server_->blocksAddress(), "-i", "pc"});
  ASSERT_TRUE(next.mounted()) << next.process().output();
  EXPECT_TRUE(readFile(next.image()) == exported());
  const auto status = readTextFile(next.mountpoint() + "/status");
  EXPECT_EQ(status.rfind("Image:    pc\nRevision: 2\n", 0), 0U) << status;
  EXPECT_EQ(::open(next.image().c_str(), O_WRONLY | O_CLOEXEC), -1);
  EXPECT_EQ(next.unmount().exitStatus, 0);
}

TEST_F(EndToEnd, AfterAShrink) {
  serve(5 * kClusterSize);
  RunningMount mount(mountpoint_, writable());
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  editAtRandom(mount.image(), 20);
  resize(mount.image(), 3 * kClusterSize + 1000);
  editAtRandom(mount.image(), 5);
  resize(mount.image(), 2 * kClusterSize + 8192);
  EXPECT_EQ(mount.unmount().exitStatus, 0);
  expectMerged();
}

TEST_F(EndToEnd, AfterShrinksAndGrowths) {
  serve(5 * kClusterSize);
  RunningMount mount(mountpoint_, writable());
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  for (int i = 0; i < 12; ++i) {
    editAtRandom(mount.image(), 6);
    resize(mount.image(), random_.between(1, 7 * kClusterSize));
  }
  resize(mount.image(), 7 * kClusterSize + 512);
  editAtRandom(mount.image(), 3);
  EXPECT_EQ(mount.unmount().exitStatus, 0);
  expectMerged();
}

TEST_F(EndToEnd, AnImageOfOddSizeKeepsItsContentAndIsRounded) {
  serve(2 * kClusterSize + 1234);
  RunningMount mount(mountpoint_, writable());
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  content_.resize(roundUp(content_.size(), kBlockSize));
  write(mount.image(), 2 * kClusterSize + 1000, 500);  // across the real end
  write(mount.image(), 77, 1);
  EXPECT_EQ(mount.unmount().exitStatus, 0);
  expectMerged();
}

TEST_F(EndToEnd, NothingChangedIsMergedToo) {
  serve(kClusterSize);
  RunningMount mount(mountpoint_, writable());
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  EXPECT_EQ(mount.unmount().exitStatus, 0);
  expectMerged();
}

TEST_F(EndToEnd, WritesDuringBackgroundUploadsArriveWhole) {
  serve(6 * kClusterSize);
  RunningMount mount(mountpoint_, writable({"--min-age", "0"}));
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  // The same few places again and again, while their clusters are on their way.
  const std::uint64_t places[] = {0, kClusterSize - 100, 3 * kClusterSize + 7};
  for (int i = 0; i < 600; ++i) {
    write(mount.image(), places[i % 3] + random_.between(0, 9'000), random_.between(1, 9'000));
  }
  EXPECT_EQ(mount.unmount().exitStatus, 0);
  expectMerged();
}

TEST_F(EndToEnd, AKilledMountGoesOnWithL) {
  serve(4 * kClusterSize);
  {
    RunningMount mount(mountpoint_, writable());
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    editAtRandom(mount.image(), 30);
    mount.process().signal(SIGKILL);
    mount.wait();
  }
  RunningMount again(mountpoint_, {"-L", session_, "-m"});
  ASSERT_TRUE(again.mounted()) << again.process().output();
  EXPECT_TRUE(readFile(again.image()) == content_);
  editAtRandom(again.image(), 10);
  EXPECT_EQ(again.unmount().exitStatus, 0);
  expectMerged();
}

TEST_F(EndToEnd, SigtermUploadsTheRestAndASecondOneDoesNotHurt) {
  serve(4 * kClusterSize);
  RunningMount mount(mountpoint_, writable());
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  editAtRandom(mount.image(), 30);
  mount.process().signal(SIGTERM);
  mount.process().signal(SIGTERM);
  EXPECT_EQ(mount.wait().exitStatus, 0);
  expectMerged();
}

TEST_F(EndToEnd, SigquitLeavesTheChangesInTheSession) {
  serve(4 * kClusterSize);
  {
    RunningMount mount(mountpoint_, writable());
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    editAtRandom(mount.image(), 30);
    mount.process().signal(SIGQUIT);
    EXPECT_TRUE(readFile(mount.image()) == content_) << "the mount stays";
    EXPECT_EQ(mount.unmount().exitStatus, 3);
  }
  EXPECT_FALSE(std::filesystem::exists(images_ + "/pc.r2"));
  RunningMount again(mountpoint_, {"-L", session_, "-m"});
  ASSERT_TRUE(again.mounted()) << again.process().output();
  EXPECT_EQ(again.unmount().exitStatus, 0);
  expectMerged();
}

TEST_F(EndToEnd, AnUploadWithoutMountingSendsWhatIsLeft) {
  serve(4 * kClusterSize);
  {
    RunningMount mount(mountpoint_, writable());
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    editAtRandom(mount.image(), 30);
    mount.process().signal(SIGKILL);
    mount.wait();
  }
  const ProcessResult upload = runNetcow({"upload", session_, "-m"});
  EXPECT_EQ(upload.exitStatus, 0) << upload.output;
  expectMerged();
  // Again: nothing is left, and the merge is not asked for twice.
  const ProcessResult again = runNetcow({"upload", session_, "-m"});
  EXPECT_EQ(again.exitStatus, 0) << again.output;
  EXPECT_FALSE(std::filesystem::exists(images_ + "/pc.r3"));
}

TEST_F(EndToEnd, AMergeWithoutAServerMakesTheSameImage) {
  serve(4 * kClusterSize);
  {
    RunningMount mount(mountpoint_, {"--source", "file://" + images_ + "/pc.r1", "-c", session_});
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    editAtRandom(mount.image(), 30);
    resize(mount.image(), 5 * kClusterSize + 123);
    EXPECT_EQ(mount.unmount().exitStatus, 0);
  }
  const std::string output = images_ + "/pc.r2";
  const Arguments command = {"merge", session_, "--base", images_ + "/pc.r1", "--output", output};
  const ProcessResult merge = runNetcow(command);
  EXPECT_EQ(merge.exitStatus, 0) << merge.output;
  expectMerged();
  const ProcessResult again = runNetcow(command);
  EXPECT_EQ(again.exitStatus, 1) << "never over an existing file: " << again.output;
  const std::string wrongBase = temporary_ / "wrong";
  writeFile(wrongBase, Bytes(3 * kClusterSize));
  const ProcessResult wrong =
      runNetcow({"merge", session_, "--base", wrongBase, "--output", temporary_ / "out"});
  EXPECT_EQ(wrong.exitStatus, 1);
  EXPECT_NE(wrong.output.find("name that one with --base"), std::string::npos) << wrong.output;
  EXPECT_FALSE(std::filesystem::exists(temporary_ / "out"));
}

TEST_F(EndToEnd, AnotherUploadGetsEverythingAndIsMergedToo) {
  serve(4 * kClusterSize);
  {
    RunningMount mount(mountpoint_, writable());
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    editAtRandom(mount.image(), 10);
    EXPECT_EQ(mount.unmount().exitStatus, 0);
  }
  expectMerged();
  // A second upload on the server, as a deployment would make it.
  const std::string other = temporary_ / "other";
  {
    RunningMount mount(mountpoint_, {"-h", server_->blocksAddress(), "-i", "pc", "-r", "1", "-c",
                                     other, "-C", server_->httpAddress()});
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    EXPECT_EQ(mount.unmount().exitStatus, 0);
  }
  const auto report = inspectSession(other);
  std::filesystem::remove(images_ + "/pc.r2");
  RunningMount again(mountpoint_, {"-L", session_, "--upload-uuid", report.uploadUuid, "-m"});
  ASSERT_TRUE(again.mounted()) << again.process().output();
  EXPECT_EQ(again.unmount().exitStatus, 0);
  expectMerged();
}

TEST_F(EndToEnd, AReaderOfTheLogThatGoesAwayTakesNothingWithIt) {
  serve(4 * kClusterSize);
  std::filesystem::create_directories(mountpoint_);
  std::string command = NETCOW_PROGRAM " mount -f";
  for (const std::string& argument : writable()) {
    command += " " + argument;
  }
  Process shell({"sh", "-c", command + " " + mountpoint_ + " 2>&1 | head -n 1"});
  const std::string image = mountpoint_ + "/img";
  ASSERT_TRUE(waitUntil([&image] { return std::filesystem::exists(image); })) << shell.output();
  editAtRandom(image, 10);
  ASSERT_TRUE(waitUntil([this] { return ::umount2(mountpoint_.c_str(), 0) == 0; }));
  shell.wait();
  expectMerged();
}

TEST_F(EndToEnd, ACopyThroughTheMountSurvivesKillingAndRestartingTheServer) {
  serve(40 * kClusterSize);
  RunningMount mount(mountpoint_, {"-h", server_->blocksAddress(), "-i", "pc"});
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  const std::string copy = temporary_ / "copy";
  Process cp({"dd", "if=" + mount.image(), "of=" + copy, "bs=64k", "iflag=direct"});
  for (int i = 0; i < 5; ++i) {
    const auto size = [&copy] {
      std::error_code none;
      const auto bytes = std::filesystem::file_size(copy, none);
      return none ? 0 : bytes;
    };
    const std::uint64_t wanted = static_cast<std::uint64_t>(i + 1) * 6 * kClusterSize;
    ASSERT_TRUE(waitUntil([&] { return size() >= wanted || !cp.running(); }));
    server_->kill();
    server_->start();
  }
  const ProcessResult result = cp.wait();
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  EXPECT_TRUE(readFile(copy) == content_);
  EXPECT_EQ(mount.unmount().exitStatus, 0);
}

TEST_F(EndToEnd, UploadsGoOnWhenTheServerWasKilledMeanwhile) {
  serve(8 * kClusterSize);
  RunningMount mount(mountpoint_, writable({"--min-age", "0"}));
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  for (int i = 0; i < 3; ++i) {
    editAtRandom(mount.image(), 20);
    server_->kill();
    server_->start();
  }
  EXPECT_EQ(mount.unmount().exitStatus, 0) << mount.process().output();
  expectMerged();
}

TEST_F(EndToEnd, AnIdleMountUsesNoProcessorTime) {
  serve(kClusterSize);
  RunningMount mount(mountpoint_, writable());
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  editAtRandom(mount.image(), 3);
  const auto before = mount.process().cpuTime();
  // The measure is time itself: nothing happens in three seconds, and it must cost nothing.
  std::this_thread::sleep_for(std::chrono::seconds(3));
  EXPECT_LE((mount.process().cpuTime() - before).count(), 20);
  EXPECT_EQ(mount.unmount().exitStatus, 0);
}

}  // namespace
}  // namespace netcow::test
