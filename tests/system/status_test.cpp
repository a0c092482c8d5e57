// SPDX-License-Identifier: Apache-2.0
// What a user sees of a mount and its uploads: netcow status, the progress line, systemd.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/unique_fd.h"
#include "base/whole_io.h"
#include "format/geometry.h"
#include "system/netcow_system.h"

namespace netcow::test {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

class Status : public testing::Test {
 protected:
  Status() {
    std::filesystem::create_directories(images_);
    writeFile(images_ + "/pc.r1", std::vector<std::byte>(4 * kClusterSize));
    server_ = std::make_unique<RunningServer>(images_);
  }

  Arguments writable() const {
    return {"-h", server_->blocksAddress(), "-i", "pc", "-c", session_,
            "-C", server_->httpAddress(),   "-m"};
  }
  /// One block in each of two clusters.
  static void change(const RunningMount& mount) {
    const std::string block(kBlockSize, 'x');
    const UniqueFd fd(::open(mount.image().c_str(), O_WRONLY | O_CLOEXEC));
    for (const std::uint64_t cluster : {0U, 2U}) {
      ASSERT_EQ(::pwrite(fd.get(), block.data(), block.size(),
                         static_cast<off_t>(cluster * kClusterSize)),
                static_cast<ssize_t>(block.size()));
    }
  }
  static std::string text(const std::string& path) {
    const ProcessResult result = runNetcow({"status", path});
    EXPECT_EQ(result.exitStatus, 0) << result.output;
    return result.output;
  }
  static nlohmann::json json(const std::string& path) {
    const ProcessResult result = runNetcow({"status", "--json", path});
    EXPECT_EQ(result.exitStatus, 0) << result.output;
    return nlohmann::json::parse(result.output);
  }

  TemporaryDirectory temporary_;
  const std::string images_ = temporary_ / "images";
  const std::string session_ = temporary_ / "session";
  const std::string mountpoint_ = temporary_ / "mnt";
  std::unique_ptr<RunningServer> server_;
};

TEST_F(Status, TellsTheSameOfAMountAndItsSessionUntilAllIsMerged) {
  RunningMount mount(mountpoint_, writable());
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  change(mount);
  const auto ofMount = json(mountpoint_);
  EXPECT_EQ(ofMount.at("state"), "mounted");
  EXPECT_EQ(ofMount.at("session"), session_);
  EXPECT_EQ(ofMount.at("process"), mount.process().pid());
  EXPECT_EQ(ofMount.at("revision"), 1);
  EXPECT_EQ(ofMount.at("connection").at("Server"), server_->blocksAddress());
  EXPECT_EQ(ofMount.at("upload").at("mergeState"), "wanted");
  const auto ofSession = json(session_);
  EXPECT_EQ(ofSession.at("state"), "mounted");
  EXPECT_EQ(ofSession.at("process"), mount.process().pid());
  EXPECT_EQ(ofSession.at("upload").at("dirtyClusters"), 2);
  EXPECT_EQ(ofSession.at("upload").at("uuid"), ofMount.at("upload").at("uuid"));
  EXPECT_THAT(text(mountpoint_),
              HasSubstr("Next          unmount it (umount " + mountpoint_ + ")"));
  // Scripts cut the first lines at single blanks.
  EXPECT_TRUE(readTextFile(mountpoint_ + "/status").starts_with("Image:    pc\nRevision: 1\n"));

  EXPECT_EQ(mount.unmount().exitStatus, 0);
  const auto closed = json(session_);
  EXPECT_EQ(closed.at("state"), "closed");
  EXPECT_TRUE(closed.at("process").is_null());
  EXPECT_EQ(closed.at("upload").at("dirtyClusters"), 0);
  EXPECT_EQ(closed.at("upload").at("mergeState"), "done");
  EXPECT_THAT(text(session_), HasSubstr("nothing: all is uploaded and merged"));
}

TEST_F(Status, FollowsTheFinalPassWhileTheServerIsAway) {
  RunningMount mount(mountpoint_, writable());
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  change(mount);
  Process watch({NETCOW_PROGRAM, "status", "--watch", mountpoint_});
  ASSERT_TRUE(watch.waitForOutput("mounted by process"));
  server_->kill();
  ASSERT_EQ(::umount2(mountpoint_.c_str(), 0), 0);
  EXPECT_TRUE(watch.waitForOutput("being uploaded by process"));
  EXPECT_TRUE(watch.waitForOutput("Last error"));
  const auto uploading = json(session_);
  EXPECT_EQ(uploading.at("state"), "uploading");
  EXPECT_EQ(uploading.at("upload").at("dirtyClusters"), 2);
  EXPECT_EQ(uploading.at("upload").at("bytesPending"), 2 * kBlockSize);
  EXPECT_THAT(uploading.at("upload").at("lastError"), HasSubstr("not uploaded"));
  server_->start();
  EXPECT_EQ(mount.wait().exitStatus, 0);
  const ProcessResult watched = watch.wait();
  EXPECT_EQ(watched.exitStatus, 0);
  EXPECT_THAT(watched.output, HasSubstr("nothing: all is uploaded and merged"));
}

TEST_F(Status, TellsWhatAKilledMountLeft) {
  {
    RunningMount mount(mountpoint_, writable());
    ASSERT_TRUE(mount.mounted()) << mount.process().output();
    change(mount);
    mount.process().signal(SIGKILL);
    mount.wait();
  }
  EXPECT_EQ(json(session_).at("state"), "killed");
  EXPECT_THAT(text(session_),
              AllOf(HasSubstr("Not uploaded  2 clusters, 8.0 KiB"),
                    HasSubstr("`netcow upload -m " + session_ + "` sends the rest")));
  EXPECT_EQ(runNetcow({"upload", "-m", session_}).exitStatus, 0);
  EXPECT_THAT(text(session_), HasSubstr("nothing: all is uploaded and merged"));
}

TEST_F(Status, WatchEndsOnCtrlC) {
  RunningMount mount(mountpoint_, {"-h", server_->blocksAddress(), "-i", "pc"});
  ASSERT_TRUE(mount.mounted());
  Process watch({NETCOW_PROGRAM, "status", "--watch", "--json", mountpoint_});
  ASSERT_TRUE(watch.waitForOutput("\"next\":\"nothing: the mount is read-only\"}\n"));
  watch.signal(SIGINT);
  EXPECT_EQ(watch.wait().exitStatus, 0);
  Process other({NETCOW_PROGRAM, "status", "--watch", mountpoint_});
  ASSERT_TRUE(other.waitForOutput("read-only"));
  EXPECT_EQ(mount.unmount().exitStatus, 0);
  EXPECT_EQ(other.wait().exitStatus, 0);
}

TEST_F(Status, RefusesInOneLine) {
  const ProcessResult nothing = runNetcow({"status", temporary_ / "no"});
  EXPECT_EQ(nothing.exitStatus, 1);
  EXPECT_THAT(nothing.output, AllOf(HasSubstr("is neither a session nor a mounted image"),
                                    EndsWith("as long as it is mounted\n")));
  EXPECT_EQ(runNetcow({"status", images_}).exitStatus, 1);
  EXPECT_EQ(runNetcow({"status"}).exitStatus, 2);
  EXPECT_EQ(runNetcow({"status", "--often", session_}).exitStatus, 2);
}

TEST_F(Status, ALineThatChangesIsSeenOnATerminalOnly) {
  {
    RunningMount mount(mountpoint_, writable());
    ASSERT_TRUE(mount.mounted());
    change(mount);
    mount.process().signal(SIGKILL);
    mount.wait();
  }
  server_->kill();
  const std::string command = std::string(NETCOW_PROGRAM) + " upload -m " + session_;
  Process upload({"script", "-qec", command, "/dev/null"});
  ASSERT_TRUE(upload.waitForOutput("failed"));  // the server is away
  server_->start();
  const ProcessResult result = upload.wait();
  EXPECT_EQ(result.exitStatus, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("\r\033[K[>"));
  EXPECT_THAT(result.output, HasSubstr("uploaded and merged"));
  // Every line of the log begins where a line begins.
  std::size_t logged = 0;
  for (auto at = result.output.find("netcow: "); at != std::string::npos;
       at = result.output.find("netcow: ", at + 1)) {
    ++logged;
    const std::string before = result.output.substr(0, at);
    EXPECT_TRUE(before.empty() || before.ends_with("\n") || before.ends_with("\r\033[K"))
        << result.output;
  }
  EXPECT_GE(logged, 2U);
  EXPECT_THAT(runNetcow({"upload", session_}).output, Not(HasSubstr("\033")));
}

/// The socket of a service manager.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~NotifySocket() { ::unsetenv("NOTIFY_SOCKET"); }

  /// Waits until it was told `message`, whole or as its beginning.
  bool waitFor(const std::string& message) {
    return waitUntil([&] {
      std::array<char, 4096> text = {};
      const ssize_t length = ::recv(socket_.get(), text.data(), text.size(), MSG_DONTWAIT);
      return length > 0 &&
             std::string(text.data(), static_cast<std::size_t>(length)).starts_with(message);
    });
  }

 private:
  UniqueFd socket_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

TEST_F(Status, IsToldToSystemd) {
  NotifySocket socket(temporary_ / "notify");
  RunningMount mount(mountpoint_, writable());
  ASSERT_TRUE(mount.mounted());
  EXPECT_TRUE(socket.waitFor("STATUS=mounted pc revision 1"));
  EXPECT_TRUE(socket.waitFor("READY=1"));
  change(mount);
  server_->kill();
  mount.process().signal(SIGTERM);
  EXPECT_TRUE(socket.waitFor("STOPPING=1"));
  EXPECT_TRUE(socket.waitFor("STATUS=uploading: 0 %, 0 bytes of 8.0 KiB"));
  EXPECT_TRUE(socket.waitFor("EXTEND_TIMEOUT_USEC="));
  server_->start();
  EXPECT_EQ(mount.wait().exitStatus, 0);
}

}  // namespace
}  // namespace netcow::test
