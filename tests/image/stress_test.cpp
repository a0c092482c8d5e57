// SPDX-License-Identifier: Apache-2.0
//
// Everything at once: threads that read and write what others read and write, blocks that arrive
// late from the base, zeroing, changes of size, checkpoints, and uploads. What each thread may see
// while others work is bounded by what was acknowledged (OwnedWindow); in the end everything is
// known to the byte. A round is short and begins with nothing local, since the most can go wrong
// while tables, clusters and blocks come to be. Under the thread sanitizer the same shows data
// races.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "image/image.h"
#include "image/late_source.h"
#include "image/stress_tail.h"
#include "image/stress_uploader.h"
#include "image/stress_windows.h"
#include "image/stress_writer.h"
#include "session/session.h"
#include "support/seeded_random.h"
#include "support/temporary_directory.h"

namespace netcow::test {
namespace {

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NETCOW_UNDER_TSAN 1
#endif
#endif
#ifdef NETCOW_UNDER_TSAN
constexpr int kRounds = 4;  // each takes about ten times as long
#else
constexpr int kRounds = 12;
#endif
constexpr std::uint32_t kWriters = 4;
constexpr int kBatches = 150;
constexpr std::uint64_t kTailBegin = kTableSpan + 2 * kClusterSize + 3 * kSectorSize;
constexpr std::uint64_t kTailEnd = kTailBegin + 2 * kClusterSize;
constexpr std::uint64_t kBaseSize = kTailBegin + kClusterSize / 2 + 1234;

/// Windows over the first blocks, over a border of clusters, and over a border of tables.
void layOut(StressField& field) {
  field.owned.emplace_back(0, 256, 1, kWriters);
  field.owned.emplace_back(kTableSpan - 40 * kBlockSize, 128, 5, kWriters);
  field.owned.emplace_back(kClusterSize - 13 * kSectorSize, 16, 24, kWriters);
  field.contested.emplace_back(4 * kClusterSize - 20 * kBlockSize, 300);
  field.oddBegin = 8 * kClusterSize - 20'001;
  field.oddPieces = 60;
}

/// One session from its beginning to its end.
class Round {
 public:
  Round(std::string directory, SeededRandom& random) : directory_(std::move(directory)) {
    source_ = std::make_unique<LateSource>(kBaseSize, seed(random), fillFromBase);
    NewSession settings;
    settings.imageName = "stress";
    settings.baseSize = kBaseSize;
    session_ = Session::create(directory_, settings);
    image_ = std::make_unique<Image>(*source_, session_.get());
    layOut(field_);
    for (std::uint32_t number = 1; number <= kWriters; ++number) {
      writers_.emplace_back(*image_, field_, findings_, number, kWriters, seed(random));
    }
    tail_ = std::make_unique<StressTail>(*image_, findings_, kTailBegin, kTailEnd, seed(random));
    uploader_ = std::make_unique<StressUploader>(*session_, findings_, seed(random));
  }

  void runAll() {
    std::atomic<bool> stop = false;
    std::vector<std::thread> others;
    others.emplace_back([&] { uploader_->run(stop); });
    others.emplace_back([&] { flush(stop); });
    others.emplace_back([&] { look(stop); });
    std::vector<std::thread> workers;
    workers.emplace_back([&] { tail_->run(kBatches); });
    for (StressWriter& writer : writers_) {
      workers.emplace_back([&writer] { writer.run(kBatches); });
    }
    for (std::thread& thread : workers) {
      thread.join();
    }
    stop = true;
    for (std::thread& thread : others) {
      thread.join();
    }
  }

  /// Now, after what a killed process leaves was recovered, and after a clean end.
  void checkAll() {
    uploader_->finish();
    check();
    reopen();
    check();
    if (session_->close()) {
      findings_.add("cannot close the session");
    }
    reopen();
    check();
    source_->stop();
  }

  [[nodiscard]] std::string findings() { return findings_.text(); }
  [[nodiscard]] std::uint64_t uploads() const { return uploader_->uploads(); }

 private:
  static std::uint64_t seed(SeededRandom& random) { return random.between(0, UINT64_MAX); }

  void reopen() {
    image_.reset();
    session_.reset();
    session_ = Session::open(directory_);
    image_ = std::make_unique<Image>(*source_, session_.get());
  }

  void flush(const std::atomic<bool>& stop) {
    while (!stop) {
      if (image_->flush()) {
        findings_.add("flush failed");
      }
      std::this_thread::yield();
    }
  }

  /// What status texts, checkpoints on a timer and programs that copy ask for.
  void look(const std::atomic<bool>& stop) {
    while (!stop) {
      std::uint64_t clusters = 0;
      session_->forEachCluster([&clusters](const ClusterInfo&) { ++clusters; });
      if (clusters > session_->localClusterCount()) {
        findings_.add("a cluster went away");
      }
      static_cast<void>(session_->dirtyCounts(Clock::Time::max()));
      static_cast<void>(session_->oldestDirty());
      static_cast<void>(session_->needsCheckpoint());
      std::uint64_t found = 0;
      if (image_->findData(0, found) || image_->findHole(0, found)) {
        findings_.add("cannot look for holes");
      }
      std::this_thread::yield();
    }
  }

  void check() {
    for (StressWriter& writer : writers_) {
      writer.checkOwn(*image_);
    }
    tail_->check(*image_);
    for (ContestedWindow& window : field_.contested) {
      const auto content =
          readAndWait(*image_, window.offsetOf(0), window.sectors() * kSectorSize, findings_);
      for (std::uint64_t sector = 0; sector < window.sectors(); ++sector) {
        const std::string wrong =
            window.judge(sector, std::span(content).subspan(sector * kSectorSize, kSectorSize));
        if (!wrong.empty()) {
          findings_.add("contested sector " + std::to_string(sector) + " " + wrong);
        }
      }
    }
  }

  const std::string directory_;
  Findings findings_;
  StressField field_;
  std::unique_ptr<LateSource> source_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Image> image_;
  std::deque<StressWriter> writers_;
  std::unique_ptr<StressTail> tail_;
  std::unique_ptr<StressUploader> uploader_;
};

TEST(Stress, OfManyThreadsOnOneImageLosesNothingAndInventsNothing) {
  SeededRandom random;
  for (int i = 0; i < kRounds; ++i) {
    const TemporaryDirectory folder;
    Round round(folder / "session", random);
    round.runAll();
    round.checkAll();
    ASSERT_EQ(round.findings(), "") << "in round " << i;
    EXPECT_GT(round.uploads(), 0U);
  }
}

}  // namespace
}  // namespace netcow::test
