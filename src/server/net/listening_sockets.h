// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/unique_fd.h"
#include "server/net/listen_address.h"

namespace netcow {

/// TCP sockets that listen on `addresses`, without blocking: one for each address of each name. A
/// name with port 0 has the same free port on all its addresses. `[::]` takes IPv4 clients too,
/// unless an IPv4 address with the same port is among `addresses`. Throws UserError.
std::vector<UniqueFd> listenOn(const std::vector<ListenAddress>& addresses);

/// Where a socket really listens. Throws std::system_error.
ListenAddress localAddressOf(int socket);

}  // namespace netcow
