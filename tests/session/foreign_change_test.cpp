// SPDX-License-Identifier: Apache-2.0
// A `meta` that another program changed after netcow was killed: refused, whatever was changed;
// and what is no change is not taken for one.
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "base/errors.h"
#include "session/session.h"
#include "session/simulated_folder.h"
#include "support/fake_clock.h"

namespace netcow::test {
namespace {

// Places as docs/formats/session.md says.
constexpr std::uint64_t kL1Place = 320;
constexpr std::uint64_t kFirstTablePlace = 65'536;
constexpr std::uint64_t kEntryBytes = 64;
constexpr std::uint64_t kTableLength = 65'536;

const std::vector<std::byte> kContent(kBlockSize, std::byte{7});

/// A session that was killed: its first two tables are in `meta` and unchanged since netcow was
/// started, the third changed and went through a checkpoint, the fourth is only in `live`.
class ForeignChange : public testing::Test {
 protected:
  ForeignChange() {
    NewSession settings;
    settings.imageName = "image";
    settings.baseSize = 4 * kTableSpan;
    settings.maxImageSize = 6 * kTableSpan;
    auto session = Session::create(openSimulatedFolder(machine_), settings, clock_);
    for (const std::uint64_t table : {0U, 1U, 2U}) {
      EXPECT_FALSE(session->write(kContent, table * kTableSpan));
    }
    EXPECT_FALSE(session->close());
    session.reset();
    session = Session::open(openSimulatedFolder(machine_), clock_);
    EXPECT_FALSE(session->write(kContent, 2 * kTableSpan + kClusterSize));
    EXPECT_FALSE(session->checkpoint());
    EXPECT_FALSE(session->write(kContent, 3 * kTableSpan));
    kill(session);
  }

  void kill(std::unique_ptr<Session>& session) {
    session.reset();
    machine_.disk.killProcess();
  }
  std::unique_ptr<File> file(const std::string& name) {
    std::unique_ptr<File> opened;
    EXPECT_FALSE(openSimulatedFolder(machine_)->open(name, opened));
    return opened;
  }
  void changeByte(const std::string& name, std::uint64_t offset) {
    std::byte byte{};
    const auto opened = file(name);
    EXPECT_FALSE(opened->read(std::span(&byte, 1), offset));
    byte ^= std::byte{1};
    EXPECT_FALSE(opened->write(std::span(&byte, 1), offset));
  }
  std::vector<std::byte> contentOf(const std::string& name) {
    const auto opened = file(name);
    std::uint64_t size = 0;
    EXPECT_FALSE(opened->size(size));
    std::vector<std::byte> content(size);
    EXPECT_FALSE(opened->read(content, 0));
    return content;
  }
  /// The line that refuses it; nothing if it opens.
  std::optional<std::string> refusal() {
    const SimulatedDisk before = machine_.disk;
    try {
      Session::open(openSimulatedFolder(machine_), clock_);
    } catch (const UserError& error) {
      return error.what();
    }
    machine_.disk = before;
    return std::nullopt;
  }
  bool isLocal(const Session& session, std::uint64_t offset) {
    return session.isLocal(offset / kBlockSize);
  }

  SeededRandom random_;
  SimulatedMachine machine_{random_};
  FakeClock clock_;
};

TEST_F(ForeignChange, IsNotSeenWhereThereWasNone) {
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(ForeignChange, IsNotATouchNorTheSameMetaPutBack) {
  const auto content = contentOf("meta");
  const auto folder = openSimulatedFolder(machine_);
  ASSERT_FALSE(folder->remove("meta"));
  std::unique_ptr<File> again;
  ASSERT_FALSE(folder->create("meta", again));
  ASSERT_FALSE(again->write(content, 0));
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(ForeignChange, OfAnyByteThatMeansSomethingIsRefused) {
  const SimulatedDisk before = machine_.disk;
  for (int i = 0; i < 2'000 && !HasFailure(); ++i) {
    std::uint64_t place = 0;
    switch (random_.between(0, 2)) {
      case 0:  // not those by which a header is known: they have their own lines
        place = random_.between(80 + 36, 80 + 39);
        break;
      case 1:
        place = kL1Place + random_.between(0, 6 * 4 - 1);
        break;
      default:
        place = kFirstTablePlace + random_.between(0, 3 * kTableLength - 1);
    }
    changeByte("meta", place);
    const auto line = refusal();
    ASSERT_TRUE(line.has_value()) << "byte " << place;
    EXPECT_NE(line->find("meta was changed by another program"), std::string::npos) << *line;
    EXPECT_EQ(line->find('\n'), std::string::npos);
    machine_.disk = before;
  }
}

TEST_F(ForeignChange, OfBytesThatMeanNothingIsNone) {
  changeByte("meta", kL1Place + 6 * 4);
  changeByte("meta", kFirstTablePlace + 4 * kTableLength + 5 * kEntryBytes);
  EXPECT_EQ(refusal(), std::nullopt);
}

TEST_F(ForeignChange, DuringACheckpointIsRefusedOutsideOfWhatLiveHolds) {
  auto session = Session::open(openSimulatedFolder(machine_), clock_);
  ASSERT_FALSE(session->write(kContent, 2 * kTableSpan + 2 * kClusterSize));
  // The write is synced, `live` marked, and the first entry written.
  machine_.stopAfter = machine_.changes + 3;
  EXPECT_TRUE(session->checkpoint());
  machine_.stopAfter = std::numeric_limits<std::uint64_t>::max();
  kill(session);
  EXPECT_EQ(refusal(), std::nullopt);
  const SimulatedDisk before = machine_.disk;
  for (int i = 0; i < 500 && !HasFailure(); ++i) {
    changeByte("meta", random_.oneIn(2)
                           ? kFirstTablePlace + random_.between(0, 2 * kTableLength - 1)
                           : kL1Place + random_.between(0, 2 * 4 - 1));
    EXPECT_TRUE(refusal().has_value());
    machine_.disk = before;
  }
}

TEST_F(ForeignChange, OfTheHeaderDuringACheckpointIsRefused) {
  const SimulatedDisk before = machine_.disk;
  for (std::uint64_t changes = 1; changes < 8; ++changes) {
    auto session = Session::open(openSimulatedFolder(machine_), clock_);
    ASSERT_FALSE(session->setSizes(5 * kTableSpan, 4 * kTableSpan));
    ASSERT_FALSE(session->write(kContent, 2 * kTableSpan + 2 * kClusterSize));
    machine_.stopAfter = machine_.changes + changes;
    static_cast<void>(session->checkpoint());
    machine_.stopAfter = std::numeric_limits<std::uint64_t>::max();
    kill(session);
    EXPECT_EQ(refusal(), std::nullopt) << changes;
    for (const std::uint64_t place : {24U, 80U + 36U, 120U + 150U}) {  // base size, uuid, name
      changeByte("meta", place);
      EXPECT_TRUE(refusal().has_value()) << changes << " " << place;
      changeByte("meta", place);
    }
    machine_.disk = before;
  }
}

TEST_F(ForeignChange, CanBeTakenBack) {
  const auto old = contentOf("meta");
  changeByte("meta", kFirstTablePlace + 8);
  ASSERT_TRUE(refusal().has_value());
  ASSERT_FALSE(file("meta")->write(old, 0));
  const auto session = Session::open(openSimulatedFolder(machine_), clock_);
  EXPECT_NE(session->recovery().find("whole"), std::string::npos) << session->recovery();
  EXPECT_TRUE(isLocal(*session, 3 * kTableSpan));
}

TEST_F(ForeignChange, CanBeKeptByEmptyingLive) {
  changeByte("meta", kFirstTablePlace + 24);  // block 0 of the image is not local any more
  const auto line = refusal();
  ASSERT_TRUE(line.has_value());
  EXPECT_NE(line->find("truncate -s 0 simulated/live"), std::string::npos) << *line;
  ASSERT_FALSE(file("live")->resize(0));
  const auto session = Session::open(openSimulatedFolder(machine_), clock_);
  EXPECT_FALSE(isLocal(*session, 0));
  EXPECT_TRUE(isLocal(*session, kTableSpan));
  EXPECT_TRUE(isLocal(*session, 2 * kTableSpan + kClusterSize));
  EXPECT_FALSE(isLocal(*session, 3 * kTableSpan));
  // What changed in place since the last upload is not known any more.
  EXPECT_EQ(session->dirtyCounts(clock_.now()).old, session->localClusterCount());
}

TEST_F(ForeignChange, InALiveOfAnotherVersionIsNeverGuessedAt) {
  changeByte("live", 8);
  const auto line = refusal();
  ASSERT_TRUE(line.has_value());
  EXPECT_NE(line->find("live was written by another version"), std::string::npos) << *line;
}

TEST_F(ForeignChange, InALiveOfAnotherVersionDoesNotMatterAfterThePowerWasCut) {
  changeByte("live", 8);
  ASSERT_FALSE(file("live")->sync());
  machine_.disk.powerCut(random_);
  EXPECT_EQ(refusal(), std::nullopt);
}

/// Found by damaging sessions at random: recovery wrote such a header to `meta`, which could never
/// be opened again.
TEST_F(ForeignChange, InALiveWhoseHeaderIsNotThatOfItsMetaIsRefused) {
  constexpr std::uint64_t kLiveMeta = 131'072;  // where the bytes of `meta` begin in `live`
  const SimulatedDisk before = machine_.disk;
  for (const std::uint64_t field : {32U, 36U, 48U, 64U, 72U}) {
    changeByte("live", kLiveMeta + field + 1);
    const auto line = refusal();
    ASSERT_TRUE(line.has_value()) << field;
    EXPECT_NE(line->find("live has a header that makes no sense"), std::string::npos) << *line;
    machine_.disk = before;
  }
}

}  // namespace
}  // namespace netcow::test
