// SPDX-License-Identifier: Apache-2.0
#pragma once

// libfuse's low-level interface, in the one version this part is written for: every file here
// includes it through this header, so that none can ask for another.
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
