// SPDX-License-Identifier: Apache-2.0
// Writes go on at full speed while uploads run, and stop just before the end: what the server
// holds is the session's content, byte for byte.
#include <array>
#include <thread>

#include "support/seeded_cases.h"
#include "upload/fake_upload_service.h"
#include "upload/uploader.h"
#include "upload/uploading_session.h"

namespace netcow {
namespace {

using test::FakeUploadService;
using test::SeededCases;
using test::SeededRandom;
using test::UploadingSession;

constexpr std::uint64_t kClusters = 3;

/// Writes blocks to the same few clusters, some of them new and most again, until told.
class Writer {
 public:
  Writer(Session& session, SeededRandom random)
      : session_(session), random_(std::move(random)), thread_([this] { run(); }) {}
  ~Writer() { thread_.join(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  void stop() { stop_ = true; }

 private:
  void run() {
    while (!stop_) {
      const std::uint64_t block = random_.between(0, 20) * 3;
      const auto bytes = random_.bytes(kBlockSize);
      EXPECT_FALSE(session_.write(
          bytes, random_.between(0, kClusters - 1) * kClusterSize + block * kBlockSize));
    }
  }

  Session& session_;
  SeededRandom random_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

/// The body that an upload of a cluster must have now.
std::string bodyOf(const Session& session, const ClusterInfo& info) {
  std::string body(reinterpret_cast<const char*>(info.bits.bytes.data()), sizeof(ClusterBits));
  std::vector<std::byte> content(kBlockSize);
  for (std::uint64_t block = info.bits.findNext(0, true); block < kBlocksPerCluster;
       block = info.bits.findNext(block + 1, true)) {
    EXPECT_FALSE(session.readBlocks(info.cluster, block, content));
    body.append(reinterpret_cast<const char*>(content.data()), content.size());
  }
  return body;
}

std::string checkOne(SeededRandom& random) {
  UploadingSession local(FakeUploadService::kUuid);
  FakeUploadService service;
  UploadOptions options;
  options.prefix.emplace(service.url());
  options.merge = true;
  options.rules.minAge = std::chrono::milliseconds(0);
  Uploader uploader(local.session(), options);
  uploader.start();
  {
    std::array<std::unique_ptr<Writer>, 2> writers;
    for (auto& writer : writers) {
      writer = std::make_unique<Writer>(local.session(), random.fork());
    }
    const std::uint64_t wanted = random.between(3, 20);
    const bool uploaded = service.waitFor([&] {
      uploader.wake();
      return service.taken("update").size() >= wanted;
    });
    for (auto& writer : writers) {
      writer->stop();
    }
    if (!uploaded) {
      return "nothing was uploaded beside the writes";
    }
  }
  const UploadOutcome outcome = uploader.finish();
  if (outcome.status != ExitStatus::done) {
    return outcome.message;
  }
  std::map<std::uint64_t, std::string> expected;
  local.session().forEachCluster(
      [&](const ClusterInfo& info) { expected[info.cluster] = bodyOf(local.session(), info); });
  return service.bodies() == expected ? "" : "the server holds something else than the session";
}

TEST(UploadLoad, WritesAtFullSpeedUpToTheEndAreOnTheServer) {
  SeededCases cases;
  for (int i = 0; i < (test::longRun() ? 1000 : 50); ++i) {
    cases.run(checkOne);
  }
}

}  // namespace
}  // namespace netcow
