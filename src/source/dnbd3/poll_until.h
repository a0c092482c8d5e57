// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <span>

#include "base/clock.h"

namespace netcow {

/// Waits until one of `polled` is ready, a signal came, or `end` is reached (Time::max(): never).
void pollUntil(std::span<pollfd> polled, Clock::Time end, const Clock& clock);

}  // namespace netcow
