// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/clock.h"
#include "server/net/io_threads.h"
#include "server/uploads/registry.h"
#include "server/uploads/upload_figures.h"

namespace netcow {

/// What all uploads of a service share; everything in it outlives them.
struct UploadContext {
  Registry& registry;
  UploadCounters& counters;
  IoThreads& workers;  ///< for what waits for the disk
  const Clock& clock = Clock::system();
};

}  // namespace netcow
