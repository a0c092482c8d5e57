// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/known_servers.h"

#include <gtest/gtest.h>

#include "support/fake_clock.h"

namespace netcow {
namespace {

using std::chrono::milliseconds;

SocketAddress addressOf(unsigned number) {
  dnbd3::ServerEntry entry;
  entry.type = dnbd3::ServerEntry::kIpv4;
  entry.address = {10, 0, 0, static_cast<std::uint8_t>(number)};
  entry.port = {1, 1};
  return SocketAddress::from(entry).value();
}

class KnownServersTest : public testing::Test {
 protected:
  milliseconds delay(std::size_t server) {
    return std::chrono::duration_cast<milliseconds>(servers_.notBefore(server) - clock_.now());
  }
  test::FakeClock clock_;
  KnownServers servers_{{milliseconds(100), milliseconds(2'000)}};
};

TEST_F(KnownServersTest, KeepsEachAddressOnce) {
  EXPECT_TRUE(servers_.add(addressOf(1), "one"));
  EXPECT_TRUE(servers_.add(addressOf(2), "two"));
  EXPECT_FALSE(servers_.add(addressOf(1), "again"));
  ASSERT_EQ(servers_.count(), 2U);
  EXPECT_EQ(servers_.label(0), "one");
}

TEST_F(KnownServersTest, DoesNotGrowForEver) {
  for (unsigned i = 0; i < 100; ++i) {
    servers_.add(addressOf(i), "server", KnownServers::Origin::learned);
  }
  EXPECT_EQ(servers_.count(), KnownServers::kMaxLearned) << "there is room for others";
  for (unsigned i = 100; i < 250; ++i) {
    servers_.add(addressOf(i), "server");
  }
  EXPECT_EQ(servers_.count(), KnownServers::kMaxServers);
}

TEST_F(KnownServersTest, NewServerMayBeTriedAtOnce) {
  servers_.add(addressOf(1), "one");
  EXPECT_LE(servers_.notBefore(0), clock_.now());
}

TEST_F(KnownServersTest, DelayDoublesUpToTheLongest) {
  servers_.add(addressOf(1), "one");
  for (const int expected : {100, 200, 400, 800, 1600, 2000, 2000, 2000}) {
    servers_.failed(0, clock_.now());
    EXPECT_EQ(delay(0), milliseconds(expected));
  }
}

TEST_F(KnownServersTest, EachServerHasItsOwnDelay) {
  servers_.add(addressOf(1), "one");
  servers_.add(addressOf(2), "two");
  servers_.failed(0, clock_.now());
  servers_.failed(0, clock_.now());
  servers_.failed(1, clock_.now());
  EXPECT_EQ(delay(0), milliseconds(200));
  EXPECT_EQ(delay(1), milliseconds(100));
}

TEST_F(KnownServersTest, ServerThatProvedItselfBeginsAnew) {
  servers_.add(addressOf(1), "one");
  for (int i = 0; i < 5; ++i) {
    servers_.failed(0, clock_.now());
  }
  servers_.proved(0);
  servers_.failed(0, clock_.now());
  EXPECT_EQ(delay(0), milliseconds(100));
}

TEST_F(KnownServersTest, CountsFailuresUntilTheNextAnswerAndInAll) {
  servers_.add(addressOf(1), "one");
  servers_.failed(0, clock_.now());
  servers_.missed(0);
  EXPECT_EQ(servers_.record(0).failuresInRow, 2U);
  servers_.answered(0, std::nullopt);
  servers_.missed(0);
  EXPECT_EQ(servers_.record(0).failuresInRow, 1U);
  EXPECT_EQ(servers_.record(0).failures, 3U);
  EXPECT_EQ(servers_.record(0).roundTrip, std::nullopt);
}

TEST_F(KnownServersTest, AMeasurementThatFailsDelaysNobody) {
  servers_.add(addressOf(1), "one");
  servers_.missed(0);
  EXPECT_LE(servers_.notBefore(0), clock_.now());
}

TEST_F(KnownServersTest, SmoothsWhatIsMeasured) {
  servers_.add(addressOf(1), "one");
  servers_.answered(0, milliseconds(8));
  EXPECT_EQ(servers_.record(0).roundTrip, milliseconds(8));
  servers_.answered(0, milliseconds(4));
  EXPECT_EQ(servers_.record(0).roundTrip, milliseconds(7));
}

}  // namespace
}  // namespace netcow
