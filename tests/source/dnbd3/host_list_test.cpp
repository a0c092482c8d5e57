// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/host_list.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "source/dnbd3/resolver.h"

namespace netcow {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

/// The line of the UserError that `list` causes.
std::string complaintAbout(const std::string& list) {
  try {
    parseHostList(list);
  } catch (const UserError& error) {
    EXPECT_EQ(error.status(), ExitStatus::usage);
    return error.what();
  }
  return "no error";
}

TEST(HostList, ReadsEveryForm) {
  EXPECT_THAT(parseHostList("sat.example 10.0.0.1:5004 [fe80::1]:6000 [::1] a_b-c:1"),
              ElementsAre(Host{"sat.example", 5003}, Host{"10.0.0.1", 5004}, Host{"fe80::1", 6000},
                          Host{"::1", 5003}, Host{"a_b-c", 1}));
}

TEST(HostList, SeparatesAtBlanksTabsAndNewlines) {
  EXPECT_THAT(parseHostList("\n a\t\tb \nc\n"),
              ElementsAre(Host{"a", 5003}, Host{"b", 5003}, Host{"c", 5003}));
}

TEST(HostList, AcceptsALinkLocalAddressWithItsInterface) {
  EXPECT_THAT(parseHostList("[fe80::1%eth0]:7"), ElementsAre(Host{"fe80::1%eth0", 7}));
}

TEST(HostList, TakesSixteenHostsAndNotOneMore) {
  std::string list;
  for (int i = 0; i < 16; ++i) {
    list += "h" + std::to_string(i) + " ";
  }
  EXPECT_EQ(parseHostList(list).size(), 16U);
  EXPECT_THAT(complaintAbout(list + "one-more"), HasSubstr("more than 16"));
}

TEST(HostList, RejectsAnEmptyList) {
  EXPECT_THAT(complaintAbout(""), HasSubstr("empty"));
  EXPECT_THAT(complaintAbout(" \t\n"), HasSubstr("empty"));
}

TEST(HostList, RejectsBadPorts) {
  for (const char* host : {"a:0", "a:65536", "a:", "a:x", "a:1x", "a:-1", "[::1]:0", "[::1]:"}) {
    const std::string complaint = complaintAbout(host);
    EXPECT_THAT(complaint, HasSubstr("from 1 to 65535"));
    EXPECT_THAT(complaint, HasSubstr(host));
  }
}

TEST(HostList, RejectsIpv6WithoutBrackets) {
  EXPECT_THAT(complaintAbout("fe80::1"), HasSubstr("brackets"));
  EXPECT_THAT(complaintAbout("::1:5003"), HasSubstr("brackets"));
}

TEST(HostList, RejectsBadBrackets) {
  EXPECT_THAT(complaintAbout("[::1"), HasSubstr("']'"));
  EXPECT_THAT(complaintAbout("[10.0.0.1]:1"), HasSubstr("IPv6"));
  EXPECT_THAT(complaintAbout("[::1]5003"), HasSubstr("':port'"));
  EXPECT_THAT(complaintAbout("[]"), HasSubstr("IPv6"));
}

TEST(HostList, RejectsNamesThatAreNone) {
  EXPECT_THAT(complaintAbout(":5003"), HasSubstr("missing"));
  EXPECT_THAT(complaintAbout("a/b"), HasSubstr("a/b"));
  EXPECT_THAT(complaintAbout("good b,c"), HasSubstr("b,c"));
}

TEST(HostList, TextCanBeReadAgain) {
  for (const Host& host : {Host{"a.example", 5003}, Host{"10.0.0.1", 1}, Host{"fe80::1", 65535}}) {
    EXPECT_EQ(parseHost(host.text()), host);
  }
  EXPECT_EQ((Host{"::1", 80}).text(), "[::1]:80");
}

TEST(Resolver, NumbersNeedNoLookUp) {
  const auto resolved = resolveHosts({Host{"127.0.0.1", 1234}, Host{"::1", 5}}, seconds(0));
  ASSERT_EQ(resolved.size(), 2U);
  ASSERT_EQ(resolved[0].addresses.size(), 1U);
  EXPECT_EQ(resolved[0].addresses[0].text(), "127.0.0.1:1234");
  ASSERT_EQ(resolved[1].addresses.size(), 1U);
  EXPECT_EQ(resolved[1].addresses[0].text(), "[::1]:5");
}

TEST(Resolver, NameGivesAtMostTwoAddressesAndABadOneAReason) {
  const auto resolved = resolveHosts({Host{"localhost", 7}, Host{"bad..name", 7}}, seconds(20));
  ASSERT_EQ(resolved.size(), 2U);
  EXPECT_GE(resolved[0].addresses.size(), 1U) << resolved[0].error;
  EXPECT_LE(resolved[0].addresses.size(), 2U);
  EXPECT_EQ(resolved[1].addresses.size(), 0U);
  EXPECT_NE(resolved[1].error, "");
}

TEST(SocketAddress, ReadsEntriesOfServers) {
  dnbd3::ServerEntry entry;
  entry.address = {10, 1, 2, 3};
  entry.port = {0x13, 0x8B};
  EXPECT_FALSE(SocketAddress::from(entry)) << "type 0 is an empty entry";
  entry.type = 2;
  EXPECT_EQ(SocketAddress::from(entry).value().text(), "10.1.2.3:5003");
  entry.address = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  entry.type = 10;
  EXPECT_EQ(SocketAddress::from(entry).value().text(), "[2001:db8::1]:5003");
  entry.port = {0, 0};
  EXPECT_FALSE(SocketAddress::from(entry));
}

}  // namespace
}  // namespace netcow
