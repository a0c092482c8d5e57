// SPDX-License-Identifier: Apache-2.0
#include "server/page/overview_keeper.h"

#include <gmock/gmock.h>

#include <future>
#include <stdexcept>

#include "support/fake_clock.h"

namespace netcow {
namespace {

using std::chrono::milliseconds;

/// A keeper whose overviews carry the number of the call that made them.
class OverviewKeeperTest : public testing::Test {
 protected:
  Overview makeOne() {
    if (failing_) {
      throw std::runtime_error("no folder");
    }
    Overview overview;
    overview.time = ++made_;
    if (gate_.valid()) {
      making_.set_value();
      gate_.wait();
    }
    return overview;
  }
  std::future<std::int64_t> ask() {
    auto promise = std::make_shared<std::promise<std::int64_t>>();
    auto answer = promise->get_future();
    keeper_.get([promise = std::move(promise)](const OverviewKeeper::Shared& overview) {
      promise->set_value(overview->time);
    });
    return answer;
  }

  test::FakeClock clock_;
  std::atomic<bool> failing_ = false;
  std::int64_t made_ = 0;  // of the keeper's thread
  std::promise<void> making_;
  std::shared_future<void> gate_;
  OverviewKeeper keeper_ = OverviewKeeper([this] { return makeOne(); }, milliseconds(1000), clock_);
};

TEST_F(OverviewKeeperTest, MakesOneInATimeHoweverManyAsk) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(ask().get(), 1);
  }
  clock_.advance(milliseconds(999));
  EXPECT_EQ(ask().get(), 1);
  clock_.advance(milliseconds(1));
  EXPECT_EQ(ask().get(), 2);
}

TEST_F(OverviewKeeperTest, WhoAsksMeanwhileGetsTheSameOne) {
  std::promise<void> open;
  gate_ = open.get_future().share();
  auto first = ask();
  making_.get_future().wait();
  auto second = ask();
  EXPECT_EQ(second.wait_for(milliseconds(0)), std::future_status::timeout);
  open.set_value();
  EXPECT_EQ(first.get(), 1);
  EXPECT_EQ(second.get(), 1);
}

TEST_F(OverviewKeeperTest, ForgetsWhatItHasWhenSomethingChanged) {
  EXPECT_EQ(ask().get(), 1);
  keeper_.forget();
  EXPECT_EQ(ask().get(), 2);
}

TEST_F(OverviewKeeperTest, DoesNotKeepWhatWasMadeWhileSomethingChanged) {
  std::promise<void> open;
  gate_ = open.get_future().share();
  auto early = ask();
  making_.get_future().wait();
  keeper_.forget();
  open.set_value();
  EXPECT_EQ(early.get(), 1);
  making_ = {};
  EXPECT_EQ(ask().get(), 2);
}

TEST_F(OverviewKeeperTest, AFailureReachesNobodyAsAnOverviewAndEndsNothing) {
  failing_ = true;
  EXPECT_THROW(ask().get(), std::future_error);  // the receiver was destroyed
  failing_ = false;
  EXPECT_EQ(ask().get(), 1);
}

TEST(OverviewKeeper, EndsWhileSomebodyWaits) {
  std::promise<void> making;
  std::promise<void> open;
  std::future<void> answer;
  {
    auto promise = std::make_shared<std::promise<void>>();
    answer = promise->get_future();
    OverviewKeeper keeper([&]() -> Overview {
      making.set_value();
      open.get_future().wait();
      throw std::runtime_error("ended");
    });
    keeper.get([promise = std::move(promise)](const auto&) { promise->set_value(); });
    making.get_future().wait();
    open.set_value();
  }
  EXPECT_THROW(answer.get(), std::future_error);
}

}  // namespace
}  // namespace netcow
