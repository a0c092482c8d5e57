// SPDX-License-Identifier: Apache-2.0
#include "server/blocks/other_servers.h"

#include <chrono>
#include <cstring>

#include "base/errors.h"
#include "base/logging.h"
#include "source/dnbd3/host_list.h"
#include "source/dnbd3/resolver.h"

namespace netcow {
namespace {

constexpr std::chrono::seconds kPatience(5);

dnbd3::ServerEntry entryOf(const SocketAddress& address) {
  dnbd3::ServerEntry entry;
  if (address.family() == AF_INET6) {
    const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(address.get());
    std::memcpy(entry.address.data(), &v6->sin6_addr, sizeof v6->sin6_addr);
    std::memcpy(entry.port.data(), &v6->sin6_port, sizeof v6->sin6_port);
    entry.type = dnbd3::ServerEntry::kIpv6;
  } else {
    const auto* const v4 = reinterpret_cast<const sockaddr_in*>(address.get());
    std::memcpy(entry.address.data(), &v4->sin_addr, sizeof v4->sin_addr);
    std::memcpy(entry.port.data(), &v4->sin_port, sizeof v4->sin_port);
    entry.type = dnbd3::ServerEntry::kIpv4;
  }
  return entry;
}

}  // namespace

std::vector<dnbd3::ServerEntry> lookUpOtherServers(const std::vector<std::string>& hosts) {
  std::vector<Host> parsed;
  for (const std::string& host : hosts) {
    parsed.push_back(parseHost(host));
  }
  if (parsed.size() > dnbd3::kMaxServerEntries) {
    throw UserError("--alt-server was given " + std::to_string(parsed.size()) +
                        " times: dnbd3 clients can be told of at most 8 servers; name fewer",
                    ExitStatus::usage);
  }
  std::vector<dnbd3::ServerEntry> entries;
  for (const ResolvedHost& found : resolveHosts(parsed, kPatience)) {
    if (found.addresses.empty()) {
      spdlog::warn("clients are not told of the other server {}: {}", found.host.text(),
                   found.error);
    }
    for (const SocketAddress& address : found.addresses) {
      if (entries.size() < dnbd3::kMaxServerEntries) {
        entries.push_back(entryOf(address));
      }
    }
  }
  return entries;
}

}  // namespace netcow
