// SPDX-License-Identifier: Apache-2.0
// What the server has already, or the base has too, is not sent; in doubt it is.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "base/whole_io.h"
#include "upload/upload_figures.h"
#include "upload/uploader_fixture.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;

/// A base full of the letter B.
class LetterBase : public Source {
 public:
  static constexpr std::uint64_t kSize = test::UploadingSession::kClusters * kClusterSize;
  [[nodiscard]] const ImageName& image() const override { return name_; }
  [[nodiscard]] std::uint64_t size() const override { return kSize; }
  void read(std::span<std::byte> buffer, std::uint64_t, Completion done) override {
    std::ranges::fill(buffer, std::byte{'B'});
    done({});
  }
  void stop() override {}
  [[nodiscard]] std::string statusText() const override { return {}; }

 private:
  const ImageName name_{"image", 1};
};

BaseBlocks::Options letterBase(bool isNear) {
  BaseBlocks::Options base;
  base.image = {"image", 1};
  base.size = LetterBase::kSize;
  base.isNear = isNear;
  base.open = [] { return std::make_unique<LetterBase>(); };
  return base;
}

class LessToSend : public test::UploaderTest {
 protected:
  [[nodiscard]] std::size_t updates() { return service.taken("update").size(); }

  /// Uploads all that is dirty in the session of a folder, after `write` had its way with it.
  template <class Write>
  void uploadAnew(const std::string& folder, Write write) {
    const auto session = Session::open(folder, local.clock());
    UploadOptions again = options;
    Uploader other(*session, again, local.clock());
    write(*session);
    EXPECT_EQ(other.finish().status, ExitStatus::done);
    EXPECT_FALSE(session->close());
  }
  static void writeBlock(Session& session, std::uint64_t cluster, char content) {
    const std::vector<std::byte> block(kBlockSize, static_cast<std::byte>(content));
    ASSERT_FALSE(session.write(block, cluster * kClusterSize));
  }
  void tryBase(bool isNear) {
    options.base = letterBase(isNear);
    start();
    local.write(1, 0, 3, 'B');
    local.write(1, 10, 1, 'x');
    EXPECT_EQ(finish().status, ExitStatus::done);
    ClusterBits only;
    only.set(10);
    const std::string bits(only.bytes.begin(), only.bytes.end());
    EXPECT_TRUE(service.bodies().at(1) == bits + std::string(4096, 'x'));
    EXPECT_EQ(local.dirtyClusters(), 0U);
  }
  [[nodiscard]] std::string folder() {
    return std::filesystem::path(local.file("meta")).parent_path().string();
  }
};

TEST_F(LessToSend, WhatIsRewrittenWithTheSameContentIsNotSentAgain) {
  local.write(1, 0, 3, 'a');
  local.write(2, 0, 3, 'a');
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return updates() == 2; }));
  local.write(1, 0, 3, 'a');
  local.write(2, 1, 1, 'b');
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_EQ(updates(), 3U);
  expectServerHasEverything();
}

/// Else what `live` calls clean and `meta` dirty would have the count of an older record, though a
/// program that knows only `meta` may have sent it after a kill.
TEST_F(LessToSend, WhatNeedsNoUploadIsCountedAllTheSame) {
  local.write(1, 0, 1, 'a');
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return local.info(1).uploads == 1; }));
  local.write(1, 0, 1, 'a');
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_EQ(updates(), 1U);
  EXPECT_EQ(local.info(1).uploads, 2U);
}

TEST_F(LessToSend, ALostAnswerMeansThatItIsSentAgain) {
  failFirst("update", 1,
            [](test::HttpReply& reply) { reply.fault = test::HttpReply::Fault::loseAnswer; });
  local.write(1, 0, 3, 'a');
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_EQ(updates(), 2U);
  expectServerHasEverything();
}

TEST_F(LessToSend, AnotherRunStillKnowsWhatTheServerHas) {
  local.write(1, 0, 1, 'a');
  local.write(2, 0, 1, 'b');
  EXPECT_EQ(finish().status, ExitStatus::done);
  uploader.reset();
  ASSERT_FALSE(local.letGo());
  uploadAnew(folder(), [](Session& session) {
    writeBlock(session, 1, 'a');
    writeBlock(session, 2, 'c');
  });
  EXPECT_EQ(updates(), 3U);
  EXPECT_EQ(service.bodies().at(2).back(), 'c');
}

TEST_F(LessToSend, AnotherUploadHasNothing) {
  local.write(1, 0, 1, 'a');
  EXPECT_EQ(finish().status, ExitStatus::done);
  uploader.reset();
  ASSERT_FALSE(local.letGo());
  const auto session = Session::open(folder(), local.clock());
  ASSERT_FALSE(session->setUploadUuid("another", true));
  const SentClusters sent(*session);
  EXPECT_FALSE(sent.body(1));
  EXPECT_EQ(sent.mayHold(1).count(), 1U) << "in doubt it has everything local";
}

TEST_F(LessToSend, ACopyOfASessionSendsEverything) {
  local.write(1, 0, 1, 'a');
  EXPECT_EQ(finish().status, ExitStatus::done);
  uploader.reset();
  ASSERT_FALSE(local.letGo());
  const test::TemporaryDirectory copies;
  const std::string copy = copies / "copy";
  std::filesystem::copy(folder(), copy);
  uploadAnew(copy, [](Session& session) { writeBlock(session, 1, 'a'); });
  EXPECT_EQ(updates(), 2U);
}

TEST_F(LessToSend, ADamagedRecordMeansThatEverythingIsSent) {
  local.write(1, 0, 1, 'a');
  EXPECT_EQ(finish().status, ExitStatus::done);
  uploader.reset();
  ASSERT_FALSE(local.letGo());
  std::string bytes = readTextFile(local.file("sent"));
  ASSERT_EQ(bytes.size(), sizeof(SentHeader) + sizeof(SentRecord));
  bytes[sizeof(SentHeader) + offsetof(SentRecord, mayHold)] ^= 2;
  std::ofstream(local.file("sent"), std::ios::binary) << bytes;
  uploadAnew(folder(), [](Session& session) { writeBlock(session, 1, 'a'); });
  EXPECT_EQ(updates(), 2U);
}

TEST_F(LessToSend, AClusterBeyondTheEndThatIsCalledCleanCountsAsAnUpload) {
  local.write(1, 0, 1, 'a');
  EXPECT_EQ(finish().status, ExitStatus::done);
  uploader.reset();
  failFirst("update", 1,
            [](test::HttpReply& reply) { reply.fault = test::HttpReply::Fault::loseAnswer; });
  local.write(1, 0, 1, 'b');
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return local.info(1).fails == 1; }));
  ASSERT_FALSE(local.session().setSizes(kClusterSize, kClusterSize));
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_EQ(service.bodies().at(1).back(), 'b') << "the server has it, though nobody was told";
  uploader.reset();
  ASSERT_FALSE(local.letGo());
  uploadAnew(folder(), [](Session& session) {
    ASSERT_FALSE(session.setSizes(LetterBase::kSize, kClusterSize));
    writeBlock(session, 1, 'a');
  });
  EXPECT_EQ(service.bodies().at(1).back(), 'a');
}

TEST_F(LessToSend, BlocksThatABaseNearbyHasAreLeftOut) {
  tryBase(/*isNear=*/true);
}

TEST_F(LessToSend, BlocksThatABaseOnAServerHasAreLeftOut) {
  tryBase(/*isNear=*/false);
}

TEST_F(LessToSend, ABlockThatWasSentIsSentForGood) {
  options.base = letterBase(true);
  local.write(1, 0, 1, 'x');
  start();
  passTime(60s);
  ASSERT_TRUE(service.waitFor([&] { return updates() == 1; }));
  local.write(1, 0, 2, 'B');
  EXPECT_EQ(finish().status, ExitStatus::done);
  ClusterBits only;
  only.set(0);
  const std::string bits(only.bytes.begin(), only.bytes.end());
  EXPECT_TRUE(service.bodies().at(1) == bits + std::string(4096, 'B'));
}

TEST_F(LessToSend, AClusterAsInTheBaseIsNotSentAtAll) {
  options.base = letterBase(false);
  start();
  local.fill(1, 'B');
  EXPECT_EQ(finish().status, ExitStatus::done);
  EXPECT_EQ(updates(), 0U);
  EXPECT_EQ(local.dirtyClusters(), 0U);
}

TEST_F(LessToSend, ABaseThatIsAwayOrAnotherHoldsUpNothing) {
  auto away = letterBase(false);
  away.open = []() -> std::unique_ptr<Source> { throw std::runtime_error("no server"); };
  auto another = letterBase(false);
  another.image.revision = 2;
  for (const auto& base : {away, another}) {
    options.base = base;
    start();
    local.fill(base.image.revision, 'B');
    EXPECT_EQ(finish().status, ExitStatus::done);
    expectServerHasEverything();
  }
}

TEST(UploadFigures, TellWhatWasSentAndWhatWasNot) {
  EXPECT_EQ(summaryOf({}), "sent 0 clusters (0 bytes)");
  UploadFigures figures;
  figures.clustersSent = 1;
  figures.bytesSent = 1'310'760;
  figures.clustersUnchanged = 2;
  figures.bytesUnchanged = 2'500'000;
  figures.blocksOfBase = 100;
  EXPECT_EQ(summaryOf(figures),
            "sent 1 cluster (1.3 MiB); not sent: 2 clusters (2.4 MiB) that the server has already; "
            "left out: 100 blocks (400.0 KiB) that the base has too");
}

}  // namespace
}  // namespace netcow
