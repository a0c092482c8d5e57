// SPDX-License-Identifier: Apache-2.0
#include "server/access/access_tokens.h"

#include <gmock/gmock.h>

#include "base/errors.h"

namespace netcow {
namespace {

using testing::HasSubstr;

AccessTokens parse(const std::string& text) {
  return AccessTokens::parse("tokens.toml", text);
}

std::string refusalOf(const std::string& text) {
  try {
    parse(text);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(AccessTokens, AreFoundByTheirSecretOnly) {
  const AccessTokens tokens = parse(
      "[alice]\ntoken = \"alice-secret-0001\"\nimages = [\"a\"]\n"
      "[bob]\ntoken = \"bob-secret-000002\"\nadmin = true\n");
  ASSERT_NE(tokens.find("alice-secret-0001"), nullptr);
  EXPECT_EQ(tokens.find("alice-secret-0001")->name, "alice");
  EXPECT_EQ(tokens.find("bob-secret-000002")->name, "bob");
  for (const char* wrong : {"", "alice", "alice-secret-000", "alice-secret-00011"}) {
    EXPECT_EQ(tokens.find(wrong), nullptr) << wrong;
  }
}

TEST(AccessTokens, MayBeKeptAsTheirSha256) {
  // printf abc | sha256sum (FIPS 180-2, B.1)
  const AccessTokens tokens = parse(
      "[a]\nimages = \"x\"\ntoken-sha256 = "
      "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015AD\"\n");
  EXPECT_NE(tokens.find("abc"), nullptr);
  EXPECT_EQ(tokens.find("abd"), nullptr);
}

TEST(AccessTokens, SayWhichLineIsWrong) {
  const std::string good = "token = \"0123456789abcdef\"\n";
  EXPECT_THAT(refusalOf("[a]\n" + good + "images = [1]\n"),
              HasSubstr("tokens.toml:3: \"images\" of [a] must be a string or a list of strings"));
  EXPECT_THAT(refusalOf("[a]\ntoken = \"short\"\nadmin = true\n"), HasSubstr("tokens.toml:2:"));
  EXPECT_THAT(refusalOf("[a]\n" + good), HasSubstr("tokens.toml:1: [a] needs images"));
  EXPECT_THAT(refusalOf("[a]\nadmin = true\n"), HasSubstr("needs token ="));
  EXPECT_THAT(refusalOf("[a]\n" + good + "admin = true\ncolour = 1\n"),
              HasSubstr("tokens.toml:4: \"colour\" of [a] is unknown; known are token"));
  EXPECT_THAT(refusalOf("x = 1\n"), HasSubstr("stands outside of any [NAME]"));
  EXPECT_THAT(refusalOf("[\"a b\"]\n" + good), HasSubstr("may hold letters"));
  EXPECT_THAT(refusalOf("[a]\n" + good + "admin = true\n[b]\n" + good + "admin = true\n"),
              HasSubstr("[b] has the same secret as [a]"));
  for (const char* secret : {"several words no client can send", "tab\\tin-a-long-secret",
                             "umlaut-\xC3\xA4-in-a-secret", "del-\\u007F-in-a-secret"}) {
    EXPECT_THAT(refusalOf("[a]\ntoken = \"" + std::string(secret) + "\"\nadmin = true\n"),
                HasSubstr("tokens.toml:2: \"token\" of [a] holds a blank"))
        << secret;
  }
  EXPECT_THAT(refusalOf("[a]\ntoken-sha256 = \"12\"\nadmin = true\n"),
              HasSubstr("64 hexadecimal digits"));
  EXPECT_THAT(refusalOf("[a\n"), HasSubstr("tokens.toml:1:"));
  EXPECT_THAT(refusalOf(""), HasSubstr("holds no token"));
}

TEST(ImagePatterns, StarsStayWithinAFolderUnlessDoubled) {
  EXPECT_TRUE(matchesPattern("lab", "lab"));
  EXPECT_FALSE(matchesPattern("lab", "lab2"));
  EXPECT_TRUE(matchesPattern("lab*", "lab"));
  EXPECT_TRUE(matchesPattern("lab*", "lab-7"));
  EXPECT_FALSE(matchesPattern("lab*", "lab/7"));
  EXPECT_TRUE(matchesPattern("lab/**", "lab/a/b"));
  EXPECT_FALSE(matchesPattern("lab/**", "lab"));
  EXPECT_TRUE(matchesPattern("*/w?n", "lab/win"));
  EXPECT_FALSE(matchesPattern("l?b", "l/b"));
  EXPECT_TRUE(matchesPattern("**", "a/b/c"));
  EXPECT_FALSE(matchesPattern("", "a"));
}

TEST(ImagePatterns, ManyStarsTakeNoLongTime) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) {
    pattern += "*a";
  }
  EXPECT_FALSE(matchesPattern(pattern, std::string(199, 'a')));
  EXPECT_TRUE(matchesPattern(pattern, std::string(2000, 'a')));
}

TEST(BearerSecret, IsTakenFromTheFieldInAnyLetterCase) {
  EXPECT_EQ(bearerSecret("Bearer abc"), "abc");
  EXPECT_EQ(bearerSecret("bEARER   abc "), "abc");
  EXPECT_EQ(bearerSecret("Bearer "), "");
  EXPECT_EQ(bearerSecret("Basic abc"), std::nullopt);
  EXPECT_EQ(bearerSecret("Bearer"), std::nullopt);
}

}  // namespace
}  // namespace netcow
