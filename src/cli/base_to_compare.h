// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "session/origin.h"
#include "upload/base_blocks.h"

namespace netcow {

/// The base that a session was made from, for comparing what is to be uploaded with it; nothing if
/// `origin` does not tell enough. Opening and reading it give up within seconds; so a file on a
/// network file system, which cannot be given up, is not opened.
std::optional<BaseBlocks::Options> baseToCompare(const Origin& origin);

}  // namespace netcow
