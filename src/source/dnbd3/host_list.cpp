// SPDX-License-Identifier: Apache-2.0
#include "source/dnbd3/host_list.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/errors.h"

namespace netcow {
namespace {

constexpr std::string_view kSeparators = " \t\r\n";

[[noreturn]] void refuse(std::string_view host, const std::string& why) {
  throw UserError("bad host '" + std::string(host) + "': " + why, ExitStatus::usage);
}

bool isIpv6(std::string_view text) {
  // A link-local address names its interface behind '%', which inet_pton does not know.
  const std::string address(text.substr(0, text.find('%')));
  in6_addr ignored;
  return ::inet_pton(AF_INET6, address.c_str(), &ignored) == 1;
}

bool isNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

std::uint16_t parsePort(std::string_view host, std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc{} || stop != end || port == 0) {
    refuse(host, "the port must be a number from 1 to 65535");
  }
  return port;
}

Host parseBracketed(std::string_view text) {
  const std::size_t close = text.find(']');
  if (close == std::string_view::npos) {
    refuse(text, "the ']' behind the IPv6 address is missing");
  }
  Host host;
  host.name = text.substr(1, close - 1);
  if (!isIpv6(host.name)) {
    refuse(text, "what stands in brackets must be an IPv6 address");
  }
  const std::string_view rest = text.substr(close + 1);
  if (!rest.empty()) {
    if (rest.front() != ':') {
      refuse(text, "only ':port' may follow the ']'");
    }
    host.port = parsePort(text, rest.substr(1));
  }
  return host;
}

}  // namespace

std::string Host::text() const {
  const bool isV6 = name.find(':') != std::string::npos;
  return (isV6 ? "[" + name + "]" : name) + ":" + std::to_string(port);
}

Host parseHost(std::string_view text) {
  if (!text.empty() && text.front() == '[') {
    return parseBracketed(text);
  }
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos) {
    refuse(text, "put an IPv6 address in brackets, as in [::1]:5003");
  }
  Host host;
  host.name = text.substr(0, colon);
  if (host.name.empty()) {
    refuse(text, "the name is missing");
  }
  if (!std::all_of(host.name.begin(), host.name.end(), isNameCharacter)) {
    refuse(text, "a host name holds letters, digits, '-', '.' and '_' only");
  }
  if (colon != std::string_view::npos) {
    host.port = parsePort(text, text.substr(colon + 1));
  }
  return host;
}

std::vector<Host> parseHostList(std::string_view list) {
  std::vector<Host> hosts;
  std::size_t begin = list.find_first_not_of(kSeparators);
  while (begin != std::string_view::npos) {
    const std::size_t end = std::min(list.find_first_of(kSeparators, begin), list.size());
    if (hosts.size() == kMaxHosts) {
      throw UserError("the list of hosts names more than " + std::to_string(kMaxHosts) +
                          " hosts; leave some out",
                      ExitStatus::usage);
    }
    hosts.push_back(parseHost(list.substr(begin, end - begin)));
    begin = list.find_first_not_of(kSeparators, end);
  }
  if (hosts.empty()) {
    throw UserError("the list of hosts is empty; name at least one, as in -h 10.0.0.1",
                    ExitStatus::usage);
  }
  return hosts;
}

}  // namespace netcow
