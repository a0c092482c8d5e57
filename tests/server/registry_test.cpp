// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/registry.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "base/errors.h"
#include "server/test_files.h"
#include "support/temporary_directory.h"

namespace netcow {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

UploadRecord someRecord(const std::string& uuid) {
  UploadRecord record;
  record.uuid = uuid;
  record.base = {"sub/it's \"win\"", 65'535};
  record.baseSize = std::uint64_t{16} << 40U;
  record.createdAt = 1'700'000'000;
  record.changedAt = 1'700'000'001;
  return record;
}

class RegistryTest : public testing::Test {
 protected:
  test::TemporaryDirectory directory_;
  const std::string path_ = directory_ / "registry.sqlite";
};

TEST_F(RegistryTest, KeepsEverythingAcrossARestart) {
  const UploadRecord fresh = someRecord("a");
  UploadRecord failed = someRecord("b");
  failed.state = UploadState::failed;
  failed.sizes = MergeSizes{0, std::uint64_t{16} << 40U};
  failed.newRevision = 65'535;
  failed.mergedClusters = 7;
  failed.totalClusters = 9;
  failed.message = "the disk is full";
  failed.owner = "lab \"7\"";
  failed.cancelRequested = true;
  failed.updates = 12;
  failed.bytesReceived = std::uint64_t{1} << 50U;
  failed.lastActivity = 1'700'000'002;
  failed.mergeMilliseconds = 3'600'001;
  {
    Registry registry(path_);
    registry.save(fresh);
    registry.save(failed);
  }
  EXPECT_THAT(Registry(path_).load(), ElementsAre(fresh, failed));
}

TEST_F(RegistryTest, ReplacesWhatItKnewOfAnUpload) {
  Registry registry(path_);
  UploadRecord record = someRecord("a");
  registry.save(record);
  for (const UploadState state : {UploadState::active, UploadState::merging, UploadState::failed,
                                  UploadState::done, UploadState::deleted, UploadState::expired}) {
    record.state = state;
    record.sizes = MergeSizes{1, 2};
    record.changedAt += 5;
    registry.save(record);
    EXPECT_THAT(registry.load(), ElementsAre(record));
  }
}

TEST_F(RegistryTest, ForgetsAnUpload) {
  Registry registry(path_);
  registry.save(someRecord("a"));
  registry.save(someRecord("b"));
  registry.remove("a");
  EXPECT_THAT(registry.load(), ElementsAre(someRecord("b")));
}

TEST_F(RegistryTest, NotesActivityAndNothingElse) {
  Registry registry(path_);
  UploadRecord record = someRecord("a");
  record.updates = 5;
  registry.save(record);
  UploadRecord seen = record;
  record.state = UploadState::merging;
  registry.save(record);  // between the look at the upload and the note
  seen.updates = 7;
  seen.bytesReceived = 900;
  seen.lastActivity = 1'700'000'500;
  registry.saveActivity(std::vector{seen, someRecord("unknown")});
  record.updates = 7;
  record.bytesReceived = 900;
  record.lastActivity = 1'700'000'500;
  EXPECT_THAT(registry.load(), ElementsAre(record));
  seen.updates = 6;  // what is known already is not taken back
  registry.saveActivity(std::vector{seen});
  EXPECT_THAT(registry.load(), ElementsAre(record));
}

TEST_F(RegistryTest, RefusesOneOfALaterVersion) {
  {
    const Registry registry(path_);
  }
  Database(path_).run("PRAGMA user_version = 1000");
  try {
    const Registry registry(path_);
    FAIL() << "it was opened";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(),
                testing::AllOf(testing::HasSubstr("later version"), testing::HasSubstr("1000"),
                               testing::HasSubstr("--state")));
  }
}

// The tables as version 1 made them, with one row of each state that it knew.
constexpr const char* kVersion1 = R"(
  CREATE TABLE uploads (
    uuid TEXT PRIMARY KEY,
    image TEXT NOT NULL,
    revision INTEGER NOT NULL,
    base_size INTEGER NOT NULL,
    state TEXT NOT NULL,
    original_file_size INTEGER,
    new_file_size INTEGER,
    new_revision INTEGER NOT NULL,
    merged_clusters INTEGER NOT NULL,
    total_clusters INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    message TEXT NOT NULL
  ) STRICT;
  PRAGMA user_version = 1;
  INSERT INTO uploads VALUES ('c', 'win', 1, 4096, 'Copying', NULL, NULL, 0, 0, 0, 10, 11, '');
  INSERT INTO uploads VALUES ('a', 'win', 2, 8192, 'Active', NULL, NULL, 0, 0, 0, 20, 21, '');
  INSERT INTO uploads VALUES ('m', 'win', 3, 8192, 'Merging', 4096, 8192, 4, 1, 2, 30, 31, '');
  INSERT INTO uploads VALUES ('d', 'win', 4, 8192, 'Done', 4096, 8192, 5, 2, 2, 40, 41, '');
  INSERT INTO uploads VALUES ('f', 'sub/x', 5, 0, 'Failed', 0, 1, 6, 3, 4, 50, 51, 'no room');
)";

UploadRecord ofVersion1(const std::string& uuid, const std::string& image, std::uint16_t revision,
                        std::uint64_t baseSize, UploadState state) {
  UploadRecord record;
  record.uuid = uuid;
  record.base = {image, revision};
  record.baseSize = baseSize;
  record.state = state;
  record.createdAt = 10 * std::int64_t{revision};
  record.changedAt = record.createdAt + 1;
  record.lastActivity = record.changedAt;
  return record;
}

std::vector<UploadRecord> recordsOfVersion1() {
  std::vector<UploadRecord> records = {
      ofVersion1("c", "win", 1, 4096, UploadState::copying),
      ofVersion1("a", "win", 2, 8192, UploadState::active),
      ofVersion1("m", "win", 3, 8192, UploadState::merging),
      ofVersion1("d", "win", 4, 8192, UploadState::done),
      ofVersion1("f", "sub/x", 5, 0, UploadState::failed),
  };
  for (std::size_t i = 2; i < 5; ++i) {
    records[i].sizes = MergeSizes{4096, 8192};
    records[i].newRevision = static_cast<std::uint16_t>(2 + i);
    records[i].mergedClusters = i - 1;
    records[i].totalClusters = i == 4 ? 4 : 2;
  }
  records[4].sizes = MergeSizes{0, 1};
  records[4].message = "no room";
  return records;
}

TEST_F(RegistryTest, TakesUpOneOfVersion1) {
  Database(path_).run(kVersion1);
  EXPECT_EQ(Registry(path_).load(), recordsOfVersion1());
  Registry again(path_);  // brought up to date once, it stays so
  EXPECT_EQ(again.load(), recordsOfVersion1());
  UploadRecord changed = recordsOfVersion1().at(1);
  changed.bytesReceived = 7;
  again.save(changed);
  EXPECT_THAT(again.load(), testing::Contains(changed));
}

TEST_F(RegistryTest, LeavesOneOfVersion1AsItWasWhenItCannotBeBroughtUpToDate) {
  // A step that fails in the middle: the column is there already.
  Database(path_).run(std::string(kVersion1) +
                      "ALTER TABLE uploads ADD COLUMN updates INTEGER NOT NULL DEFAULT 3");
  EXPECT_THROW(Registry{path_}, UserError);
  Database database(path_);
  Statement version(database, "PRAGMA user_version");
  ASSERT_TRUE(version.next());
  EXPECT_EQ(version.integer(0), 1);
  Statement owner(database,
                  "SELECT count(*) FROM pragma_table_info('uploads') WHERE name = 'owner'");
  ASSERT_TRUE(owner.next());
  EXPECT_EQ(owner.integer(0), 0);
}

TEST_F(RegistryTest, RefusesAFileThatIsNoDatabase) {
  test::writeFile(path_, test::bytesOf(std::string(5000, 'x')));
  EXPECT_THROW(Registry{path_}, UserError);
}

/// Another program that reads the registry.
class Reader {
 public:
  explicit Reader(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &handle_), SQLITE_OK);
  }
  ~Reader() { sqlite3_close(handle_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  int run(const char* sql) { return sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr); }

 private:
  sqlite3* handle_ = nullptr;
};

TEST_F(RegistryTest, CannotBeHeldUpBySomebodyWhoReadsIt) {
  Registry(path_).save(someRecord("a"));
  Reader reader(path_);
  ASSERT_EQ(reader.run("BEGIN; SELECT * FROM uploads"), SQLITE_OK);
  Registry registry(path_);  // neither at the start nor later
  registry.save(someRecord("b"));
  EXPECT_THAT(registry.load(), ElementsAre(someRecord("a"), someRecord("b")));
  EXPECT_EQ(reader.run("COMMIT"), SQLITE_OK);
}

TEST_F(RegistryTest, WaitsForSomebodyWhoReadsAnOlderOne) {
  Database(path_).run(std::string(kVersion1) + "PRAGMA journal_mode = DELETE");  // as it was then
  Reader reader(path_);
  ASSERT_EQ(reader.run("BEGIN; SELECT * FROM uploads"), SQLITE_OK);
  auto records = std::async(std::launch::async, [this] { return Registry(path_).load(); });
  // It cannot open before the reader ends, however long this lasts; without patience it fails.
  EXPECT_EQ(records.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  EXPECT_EQ(reader.run("COMMIT"), SQLITE_OK);
  EXPECT_EQ(records.get(), recordsOfVersion1());
}

TEST_F(RegistryTest, SyncsItsLogWhenItCommits) {
  Database database(path_);
  Statement synchronous(database, "PRAGMA synchronous");
  ASSERT_TRUE(synchronous.next());
  EXPECT_EQ(synchronous.integer(0), 2);  // FULL, https://sqlite.org/pragma.html#pragma_synchronous
  Statement journal(database, "PRAGMA journal_mode");
  ASSERT_TRUE(journal.next());
  EXPECT_EQ(journal.text(0), "wal");
}

TEST_F(RegistryTest, IsForItsOwnerOnly) {
  const Registry registry(path_);
  const auto permissions = std::filesystem::status(path_).permissions();
  EXPECT_EQ(permissions, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

}  // namespace
}  // namespace netcow
