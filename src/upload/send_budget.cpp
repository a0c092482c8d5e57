// SPDX-License-Identifier: Apache-2.0
#include "upload/send_budget.h"

#include <algorithm>

namespace netcow {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::nanoseconds kUnusedThatCounts = 100ms;

/// A twentieth of a second's worth: small enough that uploads take turns, large enough that a fast
/// limit costs no time.
std::size_t portionAt(std::uint64_t bytesPerSecond) {
  return std::clamp<std::uint64_t>(bytesPerSecond / 20, 1024, 256UL * 1024);
}

std::chrono::nanoseconds costAt(std::uint64_t bytesPerSecond) {
  const double seconds =
      static_cast<double>(portionAt(bytesPerSecond)) / static_cast<double>(bytesPerSecond);
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

}  // namespace

SendBudget::SendBudget(std::optional<std::uint64_t> bytesPerSecond, const Clock& clock)
    : limited_(bytesPerSecond.has_value()),
      clock_(clock),
      portion_(portionAt(bytesPerSecond.value_or(1))),
      cost_(costAt(bytesPerSecond.value_or(1))),
      next_(clock.now()) {}

std::size_t SendBudget::takePortion() {
  const auto now = clock_.now();
  if (next_ > now) {
    return 0;
  }
  next_ = std::max(next_, now - kUnusedThatCounts) + cost_;
  return portion_;
}

}  // namespace netcow
