// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/poll_until.h"

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "base/errors.h"

namespace netcow {

void pollUntil(std::span<pollfd> polled, Clock::Time end, const Clock& clock) {
  timespec left = {};
  if (end != Clock::Time::max()) {
    using std::chrono::nanoseconds;
    constexpr std::int64_t kSecond = 1'000'000'000;
    // A server that has not failed may be tried from the beginning of time: nothing to wait for.
    const Clock::Time now = clock.now();
    const std::int64_t wait = end <= now ? 0 : nanoseconds(end - now).count();
    left.tv_sec = static_cast<time_t>(wait / kSecond);
    left.tv_nsec = static_cast<long>(wait % kSecond);
  }
  const timespec* const limit = end == Clock::Time::max() ? nullptr : &left;
  if (::ppoll(polled.data(), polled.size(), limit, nullptr) < 0) {
    if (errno != EINTR) {
      throwErrno("cannot poll");
    }
    // What poll() did not fill in must not look ready.
    std::for_each(polled.begin(), polled.end(), [](pollfd& entry) { entry.revents = 0; });
  }
}

}  // namespace netcow
