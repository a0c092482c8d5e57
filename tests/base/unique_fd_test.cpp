// SPDX-License-Identifier: Apache-2.0
#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <utility>

namespace netcow {
namespace {

int openSomething() {
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool isOpen(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

TEST(UniqueFd, OwnsNothingAtFirst) {
  const UniqueFd none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.get(), -1);
}

TEST(UniqueFd, TakesStandardInputForADescriptor) {
  UniqueFd zero(0);
  EXPECT_TRUE(zero);
  EXPECT_EQ(zero.release(), 0);
}

TEST(UniqueFd, ClosesAtTheEnd) {
  const int fd = openSomething();
  ASSERT_TRUE(isOpen(fd));
  {
    const UniqueFd owner(fd);
  }
  EXPECT_FALSE(isOpen(fd));
}

TEST(UniqueFd, ReleaseLeavesTheDescriptorOpen) {
  UniqueFd owner(openSomething());
  const int fd = owner.release();
  EXPECT_FALSE(owner);
  EXPECT_TRUE(isOpen(fd));
  ::close(fd);
}

TEST(UniqueFd, MovingHandsOver) {
  UniqueFd first(openSomething());
  const int fd = first.get();
  UniqueFd second(std::move(first));
  EXPECT_EQ(second.get(), fd);
  EXPECT_TRUE(isOpen(fd));
}

TEST(UniqueFd, AssigningClosesWhatWasThereBefore) {
  UniqueFd target(openSomething());
  UniqueFd source(openSomething());
  const int before = target.get();
  const int after = source.get();
  target = std::move(source);
  EXPECT_FALSE(isOpen(before));
  EXPECT_EQ(target.get(), after);
  EXPECT_TRUE(isOpen(after));
}

TEST(UniqueFd, ResetClosesAndTakesTheNext) {
  UniqueFd owner(openSomething());
  const int before = owner.get();
  const int after = openSomething();
  owner.reset(after);
  EXPECT_FALSE(isOpen(before));
  EXPECT_EQ(owner.get(), after);
}

}  // namespace
}  // namespace netcow
