// SPDX-License-Identifier: Apache-2.0
#include "server/http/cross_site.h"

#include <gtest/gtest.h>

namespace netcow {
namespace {

bool foreign(HttpFields fields) {
  return isFromAnotherSite({.method = "POST", .target = "/", .body = {}, .fields = fields});
}

TEST(CrossSite, ProgramsAreNoBrowsers) {
  EXPECT_FALSE(foreign({}));
  EXPECT_FALSE(foreign({{"host", "server:5000"}, {"user-agent", "curl"}}));
}

TEST(CrossSite, ThePageItselfMayAsk) {
  EXPECT_FALSE(foreign({{"host", "server:5000"}, {"origin", "http://server:5000"}}));
  EXPECT_FALSE(foreign({{"host", "SERVER:5000"}, {"origin", "http://Server:5000"}}));
  EXPECT_FALSE(foreign({{"host", "[::1]:5000"}, {"origin", "http://[::1]:5000"}}));
  EXPECT_FALSE(foreign({{"sec-fetch-site", "same-origin"}}));
  EXPECT_FALSE(foreign({{"sec-fetch-site", "none"}}));
}

TEST(CrossSite, AProxyMayHaveChangedTheHost) {
  EXPECT_FALSE(foreign({{"host", "127.0.0.1:5000"},
                        {"origin", "https://netcow.example"},
                        {"sec-fetch-site", "same-origin"}}));
}

TEST(CrossSite, OthersMayNot) {
  EXPECT_TRUE(foreign({{"host", "server:5000"}, {"origin", "http://evil"}}));
  EXPECT_TRUE(foreign({{"host", "server:5000"}, {"origin", "http://server:5001"}}));
  EXPECT_TRUE(foreign({{"host", "server:5000"}, {"origin", "http://server:5000.evil"}}));
  EXPECT_TRUE(foreign({{"host", "server:5000"}, {"origin", "null"}}));
  EXPECT_TRUE(foreign({{"host", ""}, {"origin", "http://"}}));
  EXPECT_TRUE(foreign({{"origin", "http://server:5000"}}));
  EXPECT_TRUE(foreign({{"sec-fetch-site", "cross-site"}}));
  // Another port of the same host is another page.
  EXPECT_TRUE(
      foreign({{"host", "server"}, {"origin", "http://server"}, {"sec-fetch-site", "same-site"}}));
}

}  // namespace
}  // namespace netcow
