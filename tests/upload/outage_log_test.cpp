// SPDX-License-Identifier: Apache-2.0
#include "upload/outage_log.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/fake_clock.h"

namespace netcow {
namespace {

using namespace std::chrono_literals;
using Line = OutageLog::Line;

class Outage : public testing::Test {
 protected:
  /// So many failures, with `pause` before each.
  void failTimes(int times, std::chrono::seconds pause) {
    for (int i = 0; i < times; ++i) {
      clock_.advance(pause);
      log_.failed("connection refused", 3);
    }
  }
  [[nodiscard]] std::size_t count(Line line) const {
    std::size_t count = 0;
    for (const auto& said : said_) {
      count += said.first == line ? 1U : 0U;
    }
    return count;
  }

  test::FakeClock clock_;
  std::vector<std::pair<Line, std::string>> said_;
  OutageLog log_{"http://server:5000", clock_,
                 [this](Line line, const std::string& text) { said_.emplace_back(line, text); }};
};

TEST_F(Outage, IsTwoLinesWhenItIsShort) {
  failTimes(50, 1s);
  clock_.advance(3s);
  log_.succeeded(2);
  log_.succeeded(1);
  EXPECT_EQ(count(Line::detail), 49U);
  ASSERT_EQ(said_.size(), 51U);
  EXPECT_EQ(said_.front(),
            std::pair(Line::away, std::string("uploads to http://server:5000 fail, and are tried "
                                              "until they pass: connection refused; 3 clusters "
                                              "are not uploaded")));
  EXPECT_EQ(said_.back(),
            std::pair(Line::back, std::string("http://server:5000 takes uploads again, after "
                                              "0:52; 2 clusters are not uploaded")));
}

TEST_F(Outage, IsToldOfEverMoreSeldom) {
  failTimes(24 * 60 * 60 / 8, 8s);
  // After 1, 3, 7, 15 and 31 minutes, and then every half an hour of the day.
  EXPECT_EQ(count(Line::stillAway), 5U + 46U);
  EXPECT_EQ(count(Line::away), 1U);
  for (const auto& [line, text] : said_) {
    if (line == Line::stillAway) {
      EXPECT_EQ(text,
                "uploads to http://server:5000 have failed for 1:04: connection refused; "
                "3 clusters are not uploaded");
      break;
    }
  }
}

TEST_F(Outage, OfAServerThatComesAndGoesIsToldOfAsSeldom) {
  for (int i = 0; i < 24 * 60 * 6; ++i) {  // a day, with a failure and a success every ten seconds
    failTimes(1, 5s);
    clock_.advance(5s);
    log_.succeeded(1);
  }
  EXPECT_LE(count(Line::away), 60U);
  EXPECT_EQ(count(Line::back), count(Line::away));
}

TEST_F(Outage, ThatComesMuchLaterIsANewOne) {
  failTimes(1000, 8s);
  log_.succeeded(1);
  clock_.advance(3h);
  said_.clear();
  failTimes(10, 8s);
  EXPECT_EQ(count(Line::away), 1U);
  EXPECT_EQ(count(Line::stillAway), 1U) << "a minute later";
}

TEST(OutageLog, SaysNothingWhenNothingFailed) {
  const test::FakeClock clock;
  int said = 0;
  OutageLog log("server", clock, [&](Line, const std::string&) { ++said; });
  log.succeeded(0);
  EXPECT_EQ(said, 0);
}

}  // namespace
}  // namespace netcow
