// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/registry.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <chrono>
#include <future>

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
  for (const UploadState state :
       {UploadState::active, UploadState::merging, UploadState::failed, UploadState::done}) {
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

TEST_F(RegistryTest, RefusesOneOfALaterVersion) {
  {
    const Registry registry(path_);
  }
  Database(path_).run("PRAGMA user_version = 2");
  EXPECT_THROW(Registry{path_}, UserError);
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
  {
    const Registry created(path_);
  }
  Registry registry(path_);  // nothing is written at this start
  Reader reader(path_);
  EXPECT_EQ(reader.run("BEGIN; SELECT * FROM uploads"), SQLITE_BUSY);
  registry.save(someRecord("a"));
  EXPECT_THAT(registry.load(), ElementsAre(someRecord("a")));
}

TEST_F(RegistryTest, LetsOthersReadOnceItIsClosed) {
  {
    Registry(path_).save(someRecord("a"));
  }
  EXPECT_EQ(Reader(path_).run("SELECT * FROM uploads"), SQLITE_OK);
}

TEST_F(RegistryTest, WaitsAtTheStartForSomebodyWhoReadsIt) {
  {
    Registry(path_).save(someRecord("a"));
  }
  Reader reader(path_);
  ASSERT_EQ(reader.run("BEGIN; SELECT * FROM uploads"), SQLITE_OK);
  auto records = std::async(std::launch::async, [this] { return Registry(path_).load(); });
  // It cannot open before the reader ends, however long this lasts; without patience it fails.
  EXPECT_EQ(records.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  EXPECT_EQ(reader.run("COMMIT"), SQLITE_OK);
  EXPECT_THAT(records.get(), ElementsAre(someRecord("a")));
}

TEST_F(RegistryTest, SyncsTheFolderTooWhenItCommits) {
  Database database(path_);
  Statement query(database, "PRAGMA synchronous");
  ASSERT_TRUE(query.next());
  EXPECT_EQ(query.integer(0), 3);  // EXTRA, https://sqlite.org/pragma.html#pragma_synchronous
}

TEST_F(RegistryTest, IsForItsOwnerOnly) {
  const Registry registry(path_);
  const auto permissions = std::filesystem::status(path_).permissions();
  EXPECT_EQ(permissions, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

}  // namespace
}  // namespace netcow
