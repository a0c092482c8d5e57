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

TEST(UploadPrefix, KeepsAPasswordOutOfWhatItRefuses) {
  for (const std::string given :
       {"ftp://user:secret@sat/", "user:secret@sat:port", "http://user:secret@sat/?x=1",
        "http://user:se/cret@sat", "http://user:secret@sat/a b", "user:x://secret@sat:1:2",
        "http://user:sec@ret@sat:99999/", "gopher://secret@sat/", "user:secret@"}) {
    try {
      const UploadPrefix prefix(given);
      // What curl understands as an address after all must be masked as well.
      EXPECT_EQ(prefix.shown().find("cret"), std::string::npos) << given;
    } catch (const UserError& error) {
      const std::string line = error.what();
      EXPECT_EQ(line.find("cret"), std::string::npos) << line;
      EXPECT_EQ(line.find("user"), std::string::npos) << line;
    }
  }
}

TEST(UploadPrefix, ShowsWhichAddressItRefuses) {
  try {
    const UploadPrefix prefix("ftp://user:secret@sat/");
    FAIL() << "did not throw";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("'ftp://***@sat/'"), std::string::npos)
        << error.what();
  }
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
