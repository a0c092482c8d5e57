// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string_view>

namespace netcow {

/// Whether the thread `id` is about to die of SIGKILL (what the kernel turns any deadly signal
/// into). False when it cannot be known. Reads /proc, does not block.
bool isBeingKilled(pid_t id) noexcept;

/// The same from the text of /proc/ID/status.
bool showsPendingKill(std::string_view processStatus);

}  // namespace netcow
