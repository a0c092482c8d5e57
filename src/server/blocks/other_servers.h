// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "format/dnbd3_messages.h"

namespace netcow {

/// What GET_SERVERS tells of servers that a user names as HOST, HOST:PORT, [V6] or [V6]:PORT: at
/// most dnbd3::kMaxServerEntries addresses, at most two of a name. Looks names up, for some seconds
/// at most; one that cannot be found is left out with a warning. Throws UserError (wrong usage).
std::vector<dnbd3::ServerEntry> lookUpOtherServers(const std::vector<std::string>& hosts);

}  // namespace netcow
