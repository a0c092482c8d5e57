// SPDX-License-Identifier: Apache-2.0
//
// The end of a session, killed at every stage of it: when the n-th request has begun, when half of
// its body has arrived, and when all of it was taken but not answered. The next run sends what was
// not acknowledged and nothing else; the server holds the session in the end, and took one merge.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "base/unique_fd.h"
#include "session/origin.h"
#include "session/session.h"
#include "system/netcow_system.h"
#include "upload/fake_upload_service.h"

namespace netcow::test {
namespace {

/// Where a request is when the client is killed.
enum class Stage { begun, halfSent, taken };
constexpr std::array kStages = {Stage::begun, Stage::halfSent, Stage::taken};

constexpr std::uint64_t kClusters = 4;
/// An update for each cluster, the merge, and a look at what becomes of it.
constexpr std::size_t kRequests = kClusters + 2;

std::vector<std::byte> contentOf(std::uint64_t cluster) {
  return std::vector<std::byte>(kBlockSize, static_cast<std::byte>('a' + cluster));
}

std::map<std::uint64_t, std::string> expectedBodies() {
  std::map<std::uint64_t, std::string> bodies;
  for (std::uint64_t cluster = 0; cluster < kClusters; ++cluster) {
    std::string bits(40, '\0');
    bits[cluster / 8] = static_cast<char>(1U << (cluster % 8));
    bodies[cluster] = bits + std::string(kBlockSize, static_cast<char>('a' + cluster));
  }
  return bodies;
}

class UploadKill : public testing::Test {
 protected:
  /// Kills `process`, which is set by then, at a stage of the n-th request from now on.
  void killAt(std::size_t n, Stage stage) {
    const std::size_t before = service_.calls().size();
    service_.setScript([this, before, n, stage](const HttpRequest& request, HttpReply& reply) {
      if (callOf(request) == "merge") {
        service_.setState("Done");
      }
      if (service_.calls().size() - before != n) {
        return;
      }
      const auto kill = [this] { process_->signal(SIGKILL); };
      if (stage == Stage::begun) {
        kill();
        reply.fault = HttpReply::Fault::resetBeforeBody;
      } else if (stage == Stage::halfSent) {
        reply.halfway = kill;
        reply.fault = HttpReply::Fault::resetDuringBody;
      } else {
        reply.mayAnswer = [kill] {
          kill();
          return true;
        };
        reply.fault = HttpReply::Fault::loseAnswer;
      }
      if (callOf(request) == "merge" && stage != Stage::taken) {
        service_.setState("Active");
      }
    });
  }
  void behaveWell() {
    service_.setScript([this](const HttpRequest& request, HttpReply&) {
      if (callOf(request) == "merge") {
        service_.setState("Done");
      }
    });
  }

  void makeSession() {
    NewSession settings;
    settings.imageName = "pc";
    settings.uploadUuid = FakeUploadService::kUuid;
    settings.baseSize = kClusters * kClusterSize;
    const auto session = Session::create(session_, settings);
    for (std::uint64_t cluster = 0; cluster < kClusters; ++cluster) {
      ASSERT_FALSE(session->write(contentOf(cluster), cluster * (kClusterSize + kBlockSize)));
    }
    Origin origin;
    origin.imageName = "pc";
    origin.revision = 1;
    origin.baseSize = settings.baseSize;
    origin.uploadPrefix = service_.url();
    origin.save(session_);
    ASSERT_FALSE(session->close());
  }

  /// Ends what was killed in the n-th request, and sees that it is right.
  void goOnAndCheck(std::size_t n) {
    behaveWell();
    const std::size_t before = service_.asked("update").size();
    const ProcessResult result = runNetcow({"upload", "-m", session_});
    EXPECT_EQ(result.exitStatus, 0) << result.output;
    EXPECT_TRUE(service_.bodies() == expectedBodies());
    EXPECT_EQ(service_.taken("merge").size(), 1U);
    const std::size_t acknowledged = std::min<std::size_t>(n - 1, kClusters);
    EXPECT_EQ(service_.asked("update").size() - before, kClusters - acknowledged);
  }

  TemporaryDirectory temporary_;
  const std::string session_ = temporary_ / "session";
  std::unique_ptr<Process> process_;
  FakeUploadService service_;
};

class OfNetcowUpload : public UploadKill,
                       public testing::WithParamInterface<std::tuple<std::size_t, Stage>> {};

TEST_P(OfNetcowUpload, LosesNothingAndSendsNothingTwiceThatWasAcknowledged) {
  const auto [n, stage] = GetParam();
  makeSession();
  process_ = std::make_unique<Process>(std::vector<std::string>{"/bin/sleep", "0"});
  killAt(n, stage);
  process_ = std::make_unique<Process>(
      std::vector<std::string>{NETCOW_PROGRAM, "upload", "-m", "--upload-parallel", "1", session_});
  EXPECT_EQ(process_->wait().exitStatus, 128 + SIGKILL);
  EXPECT_EQ(service_.calls().size(), n);
  goOnAndCheck(n);
}

INSTANTIATE_TEST_SUITE_P(UploadKill, OfNetcowUpload,
                         testing::Combine(testing::Range<std::size_t>(1, kRequests + 1),
                                          testing::ValuesIn(kStages)));

class OfAMountsEnd : public UploadKill, public testing::WithParamInterface<std::size_t> {};

TEST_P(OfAMountsEnd, LosesNothingAndSendsNothingTwiceThatWasAcknowledged) {
  const std::size_t n = GetParam();
  const std::string base = temporary_ / "pc.r1";
  writeFile(base, std::vector<std::byte>(kClusters * kClusterSize));
  RunningMount mount(temporary_ / "mnt",
                     {"--source", "file://" + base, "-c", session_, "-C", service_.url(),
                      "--upload-uuid", FakeUploadService::kUuid, "-m", "--upload-parallel", "1"});
  ASSERT_TRUE(mount.mounted()) << mount.process().output();
  {
    const UniqueFd image(::open(mount.image().c_str(), O_WRONLY | O_CLOEXEC));
    for (std::uint64_t cluster = 0; cluster < kClusters; ++cluster) {
      const auto offset = static_cast<off_t>(cluster * (kClusterSize + kBlockSize));
      ASSERT_EQ(::pwrite(image.get(), contentOf(cluster).data(), kBlockSize, offset),
                static_cast<ssize_t>(kBlockSize));
    }
  }
  service_.setScript([&, n](const HttpRequest& request, HttpReply& reply) {
    if (callOf(request) == "merge") {
      service_.setState("Done");
    }
    if (service_.calls().size() == n) {
      reply.mayAnswer = [&] {
        mount.process().signal(SIGKILL);
        return true;
      };
      reply.fault = HttpReply::Fault::loseAnswer;
    }
  });
  ASSERT_EQ(::umount2(mount.mountpoint().c_str(), 0), 0);
  EXPECT_EQ(mount.wait().exitStatus, 128 + SIGKILL);
  goOnAndCheck(n);
}

INSTANTIATE_TEST_SUITE_P(UploadKill, OfAMountsEnd, testing::Range<std::size_t>(1, kRequests + 1));

}  // namespace
}  // namespace netcow::test
