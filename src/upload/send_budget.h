// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace netcow {

/// What may be sent when: so many bytes a second, handed out in portions, so that several uploads
/// can share it fairly by taking turns. What was left unused counts for a tenth of a second.
/// Not thread-safe; `clock` must outlive it.
class SendBudget {
 public:
  /// `bytesPerSecond`, above 0; none: no limit.
  SendBudget(std::optional<std::uint64_t> bytesPerSecond, const Clock& clock);

  [[nodiscard]] bool limited() const { return limited_; }
  /// Takes a portion out of a limited budget: its bytes, or 0 when none is due before
  /// nextPortion().
  std::size_t takePortion();
  [[nodiscard]] Clock::Time nextPortion() const { return next_; }

 private:
  const bool limited_;
  const Clock& clock_;
  const std::size_t portion_;            // bytes
  const std::chrono::nanoseconds cost_;  // how long a portion lasts
  Clock::Time next_;
};

}  // namespace netcow
