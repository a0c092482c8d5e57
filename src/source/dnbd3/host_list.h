// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/dnbd3_messages.h"

namespace netcow {

/// A server as a user names it.
struct Host {
  std::string name;  ///< host name, IPv4 or IPv6 address (without brackets)
  std::uint16_t port = dnbd3::kDefaultPort;

  /// "name:port"; an IPv6 address stands in brackets.
  [[nodiscard]] std::string text() const;
  bool operator==(const Host&) const = default;
};

/// The most hosts a list may hold.
inline constexpr std::size_t kMaxHosts = 16;

/// Reads `name`, `name:port`, `v4:port`, `[v6]` or `[v6]:port`. Throws UserError (wrong usage).
Host parseHost(std::string_view text);

/// Reads hosts separated by blanks, tabs or newlines: at least one, at most kMaxHosts.
/// Throws UserError (wrong usage).
std::vector<Host> parseHostList(std::string_view list);

}  // namespace netcow
