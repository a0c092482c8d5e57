// SPDX-License-Identifier: Apache-2.0
#include "server/net/listen_address.h"

#include <gtest/gtest.h>

#include "base/errors.h"

namespace netcow {
namespace {

const ListenAddress kOtherwise = {"127.0.0.1", 5003};

ListenAddress parse(const char* text) {
  return parseListenAddress(text, kOtherwise);
}

TEST(ListenAddress, TakesWhatIsMissingFromTheDefault) {
  EXPECT_EQ(parse(""), kOtherwise);
  EXPECT_EQ(parse("0.0.0.0"), (ListenAddress{"0.0.0.0", 5003}));
  EXPECT_EQ(parse(":6000"), (ListenAddress{"127.0.0.1", 6000}));
  EXPECT_EQ(parse("server:0"), (ListenAddress{"server", 0}));
  EXPECT_EQ(parse("[::1]"), (ListenAddress{"::1", 5003}));
  EXPECT_EQ(parse("[::]:65535"), (ListenAddress{"::", 65535}));
}

TEST(ListenAddress, IsWrittenAsItIsRead) {
  EXPECT_EQ((ListenAddress{"::1", 5003}).text(), "[::1]:5003");
  EXPECT_EQ((ListenAddress{"10.0.0.1", 1}).text(), "10.0.0.1:1");
}

TEST(ListenAddress, RefusesWhatIsNotAnAddressWithAWrongUsage) {
  for (const char* text : {"host:", "host:x", "host:65536", "host:-1", "host:1x", "::1", "[::1",
                           "[]:1", "[::1]5003", "[::1]:"}) {
    try {
      parse(text);
      ADD_FAILURE() << text;
    } catch (const UserError& error) {
      EXPECT_EQ(error.status(), ExitStatus::usage) << text;
    }
  }
}

}  // namespace
}  // namespace netcow
