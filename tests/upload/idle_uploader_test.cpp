// SPDX-License-Identifier: Apache-2.0
// What an uploader costs that has nothing to do.
#include <ctime>

#include "upload/uploader_fixture.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;

std::chrono::nanoseconds processTime() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

class IdleUploader : public testing::Test {
 protected:
  /// A session with so many clusters, all of them uploaded; none has content, which is quicker to
  /// make.
  void makeClean(std::uint64_t clusters) {
    NewSession settings;
    settings.imageName = "image";
    settings.uploadUuid = test::FakeUploadService::kUuid;
    settings.baseSize = clusters * kClusterSize;
    session_ = Session::create(directory_ / "session", settings, clock_);
    for (std::uint64_t cluster = 0; cluster < clusters; ++cluster) {
      ASSERT_FALSE(session_->replaceCluster(cluster, ClusterBits{}, {}));
    }
    ASSERT_FALSE(session_->checkpoint());
    while (const auto cluster = session_->takeDirty(Clock::Time::max())) {
      ASSERT_TRUE(session_->acknowledgeUpload(*cluster, session_->snapshot(*cluster).changes));
    }
  }

  test::TemporaryDirectory directory_;
  test::FakeClock clock_;
  std::unique_ptr<Session> session_;
};

TEST_F(IdleUploader, CostsNothingBesideManyCleanClusters) {
  makeClean(200'000);
  std::atomic<int> reports = 0;
  UploadOptions options;
  options.prefix.emplace("127.0.0.1:1");
  options.statusSink = [&](const std::string&) { ++reports; };
  Uploader uploader(*session_, options, clock_);
  uploader.start();
  const auto before = processTime();
  constexpr int kReports = 720;  // an hour's
  for (int i = 1; i <= kReports; ++i) {
    const int seen = reports;
    clock_.advance(5s);
    uploader.wake();
    while (reports == seen) {
      std::this_thread::sleep_for(100us);
    }
  }
  // This test's own waiting and a slow sanitizer included. One look at each
  // cluster in each report would be 144 million looks.
  EXPECT_LT(processTime() - before, 1s);
  uploader.cancel();
  EXPECT_EQ(uploader.finish().status, ExitStatus::notUploaded);
}

}  // namespace
}  // namespace netcow
