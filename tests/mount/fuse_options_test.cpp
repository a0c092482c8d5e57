// SPDX-License-Identifier: Apache-2.0
#include "mount/fuse_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"

namespace netcow {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(FuseOptions, TakesTheDeployedOnesApart) {
  const FuseOptions options = parseFuseOptions({"allow_other,max_readahead=262144"});
  EXPECT_THAT(options.passedOn, ElementsAre("allow_other"));
  EXPECT_EQ(options.limits.maxReadahead, 262'144U);
  EXPECT_THAT(options.ignored, IsEmpty());
}

TEST(FuseOptions, IgnoresThoseOfLibfuse2) {
  const FuseOptions options = parseFuseOptions(
      {"big_writes,nonempty,async_read", "kernel_cache,intr,use_ino,attr_timeout=60,ro"});
  EXPECT_THAT(options.ignored, ElementsAre("big_writes", "nonempty", "async_read", "kernel_cache",
                                           "intr", "use_ino", "attr_timeout=60"));
  EXPECT_THAT(options.passedOn, ElementsAre("ro"));
}

TEST(FuseOptions, NeverLetsTheKernelHoldBackWrites) {
  EXPECT_THAT(parseFuseOptions({"writeback_cache"}).passedOn, IsEmpty());
}

TEST(FuseOptions, TellsMaxReadToBothSides) {
  const FuseOptions options =
      parseFuseOptions({"max_read=65536", "max_write=4096,max_background=3"});
  EXPECT_EQ(options.limits.maxRead, 65'536U);
  EXPECT_THAT(options.passedOn, ElementsAre("max_read=65536"));
  EXPECT_EQ(options.limits.maxWrite, 4096U);
  EXPECT_EQ(options.limits.maxBackground, 3U);
}

TEST(FuseOptions, LeavesAnEscapedCommaAlone) {
  EXPECT_THAT(parseFuseOptions({"fsname=a\\,b,,ro"}).passedOn, ElementsAre("fsname=a\\,b", "ro"));
}

TEST(FuseOptions, RefusesANumberThatIsNone) {
  for (const char* wrong : {"max_write=", "max_write", "max_read=12k", "max_background=-1",
                            "max_readahead=4294967296"}) {
    try {
      parseFuseOptions({wrong});
      ADD_FAILURE() << wrong;
    } catch (const UserError& error) {
      EXPECT_EQ(error.status(), ExitStatus::usage) << wrong;
    }
  }
}

}  // namespace
}  // namespace netcow
