// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace netcow {

/// Where a server waits for clients.
struct ListenAddress {
  std::string host = "127.0.0.1";  ///< a name or an address, without brackets
  std::uint16_t port = 0;          ///< 0 = any free one

  /// "HOST:PORT", an IPv6 address in brackets.
  [[nodiscard]] std::string text() const;
  bool operator==(const ListenAddress&) const = default;
};

/// Reads "HOST:PORT", "HOST", ":PORT", "[V6]:PORT" or "[V6]"; what is missing, also all of it, is
/// taken from `otherwise`. Throws UserError (wrong usage).
ListenAddress parseListenAddress(std::string_view text, const ListenAddress& otherwise);

/// Whether only this machine can connect there. A name counts as if all others could, save for
/// "localhost".
bool isLoopback(const ListenAddress& address);

}  // namespace netcow
