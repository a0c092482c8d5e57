// SPDX-License-Identifier: Apache-2.0
#include "source/source_url.h"

#include <gmock/gmock.h>

#include "base/errors.h"

namespace netcow {
namespace {

using testing::HasSubstr;

std::string complaintAbout(const std::string& url) {
  try {
    parseSourceUrl(url);
  } catch (const UserError& error) {
    EXPECT_EQ(error.status(), ExitStatus::usage);
    EXPECT_THAT(error.what(), HasSubstr(url));
    return error.what();
  }
  return "no error";
}

TEST(SourceUrl, ReadsDnbd3) {
  EXPECT_EQ(parseSourceUrl("dnbd3://sat.example/lab/win10"),
            SourceUrl(Dnbd3Url{{"sat.example", 5003}, {"lab/win10", 0}}));
  EXPECT_EQ(parseSourceUrl("dnbd3://10.0.0.1:7/a?revision=65535"),
            SourceUrl(Dnbd3Url{{"10.0.0.1", 7}, {"a", 65535}}));
  EXPECT_EQ(parseSourceUrl("dnbd3://[::1]:7/a?revision=0"),
            SourceUrl(Dnbd3Url{{"::1", 7}, {"a", 0}}));
}

TEST(SourceUrl, ReadsFile) {
  EXPECT_EQ(parseSourceUrl("file:///srv/a.r1"), SourceUrl(FileUrl{"/srv/a.r1"}));
}

TEST(SourceUrl, DecodesPercents) {
  EXPECT_EQ(parseSourceUrl("file:///a%20b%25c%3F"), SourceUrl(FileUrl{"/a b%c?"}));
  EXPECT_EQ(parseSourceUrl("dnbd3://h/a%20b"), SourceUrl(Dnbd3Url{{"h", 5003}, {"a b", 0}}));
}

TEST(SourceUrl, RejectsBadPercents) {
  for (const char* url : {"file:///a%", "file:///a%2", "file:///a%zz", "file:///a%00"}) {
    EXPECT_THAT(complaintAbout(url), HasSubstr("%25")) << url;
  }
}

TEST(SourceUrl, RejectsOtherSchemes) {
  for (const char* url : {"", "/srv/a", "http://h/a", "dnbd3:/h/a", "DNBD3"}) {
    EXPECT_THAT(complaintAbout(url), HasSubstr("dnbd3://")) << url;
  }
}

TEST(SourceUrl, RejectsWhatIsMissing) {
  EXPECT_THAT(complaintAbout("dnbd3://host"), HasSubstr("name of the image is missing"));
  EXPECT_THAT(complaintAbout("dnbd3://host/"), HasSubstr("cannot be the name"));
  EXPECT_THAT(complaintAbout("file://srv/a"), HasSubstr("absolute"));
  EXPECT_THAT(complaintAbout("file://"), HasSubstr("absolute"));
}

TEST(SourceUrl, RejectsBadHostsNamesAndRevisions) {
  EXPECT_THROW(parseSourceUrl("dnbd3:///a"), UserError);
  EXPECT_THROW(parseSourceUrl("dnbd3://h:0/a"), UserError);
  EXPECT_THAT(complaintAbout("dnbd3://h/../a"), HasSubstr("cannot be the name"));
  EXPECT_THAT(complaintAbout("dnbd3://h/a?rev=1"), HasSubstr("revision=N"));
  for (const char* revision : {"65536", "-1", "x", "", "1x"}) {
    EXPECT_THAT(complaintAbout(std::string("dnbd3://h/a?revision=") + revision),
                HasSubstr("number"));
  }
}

}  // namespace
}  // namespace netcow
