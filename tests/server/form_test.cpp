// SPDX-License-Identifier: Apache-2.0
#include "server/http/form.h"

#include <gtest/gtest.h>

#include "server/http/request_path.h"

namespace netcow {
namespace {

std::string valueIn(const std::string& text, const std::string& name) {
  const auto form = Form::parse(text);
  const std::string* value = form ? form->find(name) : nullptr;
  return value != nullptr ? *value : "(none)";
}

TEST(Form, DecodesNamesAndValues) {
  const std::string text = "imageName=win+10%2Fbase%20x&Revision=3&empty=&flag";
  EXPECT_EQ(valueIn(text, "imagename"), "win 10/base x");
  EXPECT_EQ(valueIn(text, "revision"), "3");
  EXPECT_EQ(valueIn(text, "empty"), "");
  EXPECT_EQ(valueIn(text, "flag"), "");
  EXPECT_EQ(valueIn(text, "other"), "(none)");
  EXPECT_EQ(valueIn("a=b=c", "a"), "b=c");
  EXPECT_EQ(valueIn("%41b=%2b%2B", "ab"), "++");
}

TEST(Form, ToleratesEmptyFields) {
  EXPECT_EQ(valueIn("&a=1&&b=2&", "b"), "2");
  EXPECT_TRUE(Form::parse(""));
}

TEST(Form, RefusesWhatIsNotWellFormed) {
  for (const char* text :
       {"a=%", "a=%4", "a=%G0", "a=%-1", "a=% 1", "%zz=1", "=1", "a=1&A=2", "a=%0x41"}) {
    // "%0x" has one digit and a letter that is none.
    EXPECT_FALSE(Form::parse(text)) << text;
  }
}

TEST(Numbers, ArePlainDecimal) {
  EXPECT_EQ(parseNumber("0"), 0U);
  EXPECT_EQ(parseNumber("18446744073709551615"), 18446744073709551615U);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "0x10", "1.0", "18446744073709551616"}) {
    EXPECT_FALSE(parseNumber(text)) << text;
  }
}

TEST(RequestPath, IgnoresCasePrefixAndRepeatedSlashes) {
  for (const char* target :
       {"/v1/file/create", "//v1/file/create", "/cow/v1/file/create", "/cow//v1/file/create",
        "/COW/V1/File/Create?x=/y", "/%761/file/create", "///cow///v1//file/create"}) {
    EXPECT_EQ(canonicalPath(target), "/v1/file/create") << target;
  }
}

TEST(RequestPath, KnowsTheStartPage) {
  for (const char* target : {"/", "", "//", "/cow", "/cow/", "/?x=1"}) {
    EXPECT_EQ(canonicalPath(target), "/") << target;
  }
}

TEST(RequestPath, KeepsOtherPathsApart) {
  EXPECT_EQ(canonicalPath("/cowboy/v1"), "/cowboy/v1");
  EXPECT_EQ(canonicalPath("/cow/cow/v1"), "/cow/v1");
  EXPECT_FALSE(canonicalPath("/v1/%zz"));
}

}  // namespace
}  // namespace netcow
