// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/registry.h"

#include <gmock/gmock.h>

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

TEST_F(RegistryTest, IsForItsOwnerOnly) {
  const Registry registry(path_);
  const auto permissions = std::filesystem::status(path_).permissions();
  EXPECT_EQ(permissions, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

}  // namespace
}  // namespace netcow
