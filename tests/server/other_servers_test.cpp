// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/other_servers.h"

#include <gtest/gtest.h>

#include "base/errors.h"

namespace netcow {
namespace {

TEST(OtherServersTest, AreToldAsAddressesWithPortsInTheOrderOfTheNetwork) {
  const auto entries = lookUpOtherServers({"10.1.2.3", "[2001:db8::1]:4660"});
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].type, 2);
  EXPECT_EQ(entries[0].address, (std::array<std::uint8_t, 16>{10, 1, 2, 3}));
  EXPECT_EQ(entries[0].port, (std::array<std::uint8_t, 2>{0x13, 0x8B}));  // 5003
  EXPECT_EQ(entries[1].type, 10);
  EXPECT_EQ(entries[1].address, (std::array<std::uint8_t, 16>{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0,
                                                              0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(entries[1].port, (std::array<std::uint8_t, 2>{0x12, 0x34}));
}

TEST(OtherServersTest, LeavesOutANameThatCannotBeFound) {
  EXPECT_EQ(lookUpOtherServers({"no-such-host.invalid", "127.0.0.1:1"}).size(), 1U);
}

TEST(OtherServersTest, RefusesMoreThanClientsCanBeTold) {
  EXPECT_THROW(lookUpOtherServers(std::vector<std::string>(9, "127.0.0.1")), UserError);
  EXPECT_THROW(lookUpOtherServers({"host:port"}), UserError);
}

}  // namespace
}  // namespace netcow
