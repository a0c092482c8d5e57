// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/block_statistics.h"

#include <gtest/gtest.h>

namespace netcow {
namespace {

using namespace std::chrono_literals;

TEST(BlockStatisticsTest, CountsClientsThatAreThereAndThatCame) {
  BlockStatistics statistics;
  statistics.clientCame();
  statistics.clientCame();
  statistics.clientWent();
  statistics.clientRefused();
  const BlockFigures figures = statistics.figures();
  EXPECT_EQ(figures.clients, 1U);
  EXPECT_EQ(figures.acceptedClients, 2U);
  EXPECT_EQ(figures.refusedClients, 1U);
  EXPECT_EQ(figures.droppedClients, 0U);
}

TEST(BlockStatisticsTest, PutsAReplyIntoTheBucketWhoseBoundItDoesNotPass) {
  BlockStatistics statistics;
  statistics.repliesSent(3, 50us);
  statistics.repliesSent(1, 51us);
  statistics.repliesSent(2, 5s);
  statistics.repliesSent(1, 5s + 1us);
  const LatencyFigures latency = statistics.figures().latency;
  EXPECT_EQ(latency.counts.front(), 3U);
  EXPECT_EQ(latency.counts[1], 1U);
  EXPECT_EQ(latency.counts[latency.counts.size() - 2], 2U);
  EXPECT_EQ(latency.counts.back(), 1U);
  EXPECT_EQ(latency.totalMicroseconds, 3U * 50 + 51 + 15'000'001);
}

TEST(BlockStatisticsTest, SharesTheCountersOfAnImageAndKeepsItsRevisionsApart) {
  BlockStatistics statistics;
  statistics.countersOf({"win", 2})->bytes += 5;
  statistics.countersOf({"win", 1})->bytes += 7;
  statistics.countersOf({"win", 2})->clients += 1;
  const auto images = statistics.figures().images;
  ASSERT_EQ(images.size(), 2U);
  EXPECT_EQ(images[0].image, (ImageName{"win", 1}));
  EXPECT_EQ(images[0].bytes, 7U);
  EXPECT_EQ(images[1].image, (ImageName{"win", 2}));
  EXPECT_EQ(images[1].bytes, 5U);
  EXPECT_EQ(images[1].clients, 1U);
}

}  // namespace
}  // namespace netcow
