// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_prefix.h"

#include <gtest/gtest.h>

#include "base/errors.h"

namespace netcow {
namespace {

std::string createUrl(const std::string& prefix) {
  return UploadPrefix(prefix).url("create");
}

TEST(UploadPrefix, MayLackAScheme) {
  EXPECT_EQ(createUrl("localhost:5000"), "http://localhost:5000/v1/file/create");
  EXPECT_EQ(createUrl("10.1.2.3"), "http://10.1.2.3/v1/file/create");
  EXPECT_EQ(createUrl("[::1]:5000"), "http://[::1]:5000/v1/file/create");
}

TEST(UploadPrefix, MayEndInSlashesAndCarryAPath) {
  EXPECT_EQ(createUrl("http://sat/cow/"), "http://sat/cow/v1/file/create");
  EXPECT_EQ(createUrl("sat/cow"), "http://sat/cow/v1/file/create");
  EXPECT_EQ(createUrl("https://sat:8443//"), "https://sat:8443/v1/file/create");
}

TEST(UploadPrefix, KeepsAPasswordOutOfMessages) {
  const UploadPrefix prefix("http://user:secret@sat/cow/");
  EXPECT_EQ(prefix.url("merge"), "http://user:secret@sat/cow/v1/file/merge");
  EXPECT_EQ(prefix.shown(), "http://sat/cow");
}

TEST(UploadPrefix, RefusesWhatNoRequestCanBeSentTo) {
  for (const char* given :
       {"", "ftp://sat/", "file:///tmp/x", "gopher://sat", "http://", "http://sat:99999/",
        "sat:port", "http://sat/a b", "http://sat/?x=1", "http://sat/#x", "no such server"}) {
    try {
      const UploadPrefix prefix(given);
      FAIL() << given << " became " << prefix.url("create");
    } catch (const UserError& error) {
      EXPECT_EQ(error.status(), ExitStatus::usage);
      EXPECT_NE(std::string(error.what()).find("-C"), std::string::npos) << error.what();
    }
  }
}

TEST(UploadUuid, HasAtMost36Characters) {
  EXPECT_NO_THROW(checkUploadUuid("0b0ea1c4-8d3f-4f2e-9d1e-7f5e0c6f1a2b"));
  EXPECT_NO_THROW(checkUploadUuid("x"));
  EXPECT_THROW(checkUploadUuid("0b0ea1c4-8d3f-4f2e-9d1e-7f5e0c6f1a2bX"), UserError);
}

TEST(UploadUuid, IsNeitherEmptyNorHoldsBlanks) {
  for (const char* uuid : {"", " ", "a b", "a\n", "a\tb", "\xc3\xa4"}) {
    EXPECT_THROW(checkUploadUuid(uuid), UserError) << uuid;
  }
}

}  // namespace
}  // namespace netcow
