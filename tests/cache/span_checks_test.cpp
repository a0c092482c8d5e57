// SPDX-License-Identifier: Apache-2.0
// What lies on the cache's disk is not always what was written there.
#include "cache/span_checks.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <future>

#include "base/unique_fd.h"
#include "base/whole_io.h"
#include "cache/cache_fixture.h"
#include "format/dnbd3_messages.h"
#include "format/session_files.h"
#include "support/process.h"

namespace netcow::test {
namespace {

/// An image of one whole span and a part of another.
class SpanChecksTest : public testing::Test {
 protected:
  SpanChecksTest() {
    rig_.options.checksums = [this] {
      fetches_ += 1;
      mayFetch_.get_future().wait();
      return list_;
    };
  }
  std::optional<ChecksumList> listOf(const std::vector<std::byte>& content) {
    std::vector<LittleEndian<std::uint32_t>> sums(1);
    for (std::uint64_t at = 0; at < content.size(); at += dnbd3::kCrcSpan) {
      Crc32 sum;
      sum.add(std::span(content).subspan(at, std::min(dnbd3::kCrcSpan, content.size() - at)));
      sums.push_back(LittleEndian<std::uint32_t>(sum.value()));
    }
    Crc32 all;
    all.add(std::as_bytes(std::span(sums).subspan(1)));
    sums[0] = all.value();
    return ChecksumList::parse(std::as_bytes(std::span(sums)));
  }
  /// Fills the cache, and ends it by a kill or a close.
  void fill(bool kill) {
    auto checksums = std::exchange(rig_.options.checksums, nullptr);
    rig_.open();
    ASSERT_EQ(rig_.check(0, size_), "");
    kill ? rig_.kill() : rig_.close();
    rig_.options.checksums = checksums;
  }
  /// Changes what the disk has for a byte of the image; places follow each other as they were read.
  void damage(std::uint64_t offset) {
    const UniqueFd fd(::open((rig_.folder / "data").c_str(), O_RDWR | O_CLOEXEC));
    std::vector<std::byte> byte(1);
    const std::uint64_t at = kFirstClusterOffset + offset;
    ASSERT_FALSE(preadOrZeros(fd.get(), byte, at));
    byte[0] ^= std::byte{1};
    ASSERT_FALSE(pwriteAll(fd.get(), byte, at));
  }
  bool isRight(std::uint64_t offset) { return rig_.check(offset, kBlockSize).empty(); }

  SeededRandom random_;
  const std::uint64_t size_ = dnbd3::kCrcSpan + 5 * kBlockSize;
  CacheRig rig_{random_, size_};
  std::optional<ChecksumList> list_ = listOf(*rig_.content);
  std::promise<void> mayFetch_;
  std::atomic<int> fetches_ = 0;
};

TEST_F(SpanChecksTest, WhatIsWrongAfterAKillIsNeverServed) {
  fill(true);
  damage(3 * kBlockSize);
  damage(dnbd3::kCrcSpan + kBlockSize);
  rig_.open();
  // Before the list is there, while it is compared, and afterwards.
  EXPECT_EQ(rig_.check(0, size_), "");
  mayFetch_.set_value();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(rig_.check(0, size_), "");
  }
  // In the end it is fetched and kept once more.
  EXPECT_TRUE(waitUntil([&] {
    const std::uint64_t before = rig_.inner->bytes;
    EXPECT_EQ(rig_.check(0, size_), "");
    return rig_.inner->bytes == before;
  }));
  EXPECT_EQ(fetches_, 1);
}

TEST_F(SpanChecksTest, WhatIsWrongIsFoundWhenItIsRead) {
  fill(false);
  damage(3 * kBlockSize);
  mayFetch_.set_value();
  rig_.open();
  static_cast<void>(isRight(kBlockSize));
  EXPECT_TRUE(waitUntil([&] { return isRight(3 * kBlockSize); }));
}

TEST_F(SpanChecksTest, WhatIsRightAfterAKillIsServedOnceThatIsKnown) {
  fill(true);
  mayFetch_.set_value();
  rig_.open();
  EXPECT_TRUE(waitUntil([&] {
    const std::uint64_t before = rig_.inner->bytes;
    EXPECT_EQ(rig_.check(0, size_), "");
    return rig_.inner->bytes == before;
  }));
}

TEST_F(SpanChecksTest, WithoutAListWhatTheOrderOfWritesPromisesCounts) {
  fill(true);
  list_.reset();
  mayFetch_.set_value();
  rig_.open();
  EXPECT_TRUE(waitUntil([&] {
    const std::uint64_t before = rig_.inner->bytes;
    EXPECT_EQ(rig_.check(0, size_), "");
    return rig_.inner->bytes == before;
  }));
}

TEST_F(SpanChecksTest, NobodyIsAskedForWhatIsNotCached) {
  mayFetch_.set_value();
  rig_.open();
  EXPECT_EQ(rig_.check(0, kBlockSize), "");
  EXPECT_EQ(fetches_, 0);
}

}  // namespace
}  // namespace netcow::test
