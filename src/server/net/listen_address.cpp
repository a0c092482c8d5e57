// SPDX-License-Identifier: Apache-2.0
#include "server/net/listen_address.h"

#include <arpa/inet.h>

#include <charconv>

#include "base/errors.h"

namespace netcow {
namespace {

[[noreturn]] void refuse(std::string_view text) {
  throw UserError("cannot listen on \"" + std::string(text) +
                      "\": not of the form HOST:PORT; an IPv6 address stands in brackets",
                  ExitStatus::usage);
}

std::uint16_t parsePort(std::string_view digits, std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    refuse(text);
  }
  return port;
}

}  // namespace

std::string ListenAddress::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

ListenAddress parseListenAddress(std::string_view text, const ListenAddress& otherwise) {
  ListenAddress address = otherwise;
  if (text.empty()) {
    return address;
  }
  std::string_view rest = text;
  if (rest.starts_with('[')) {
    const std::size_t close = rest.find(']');
    if (close == std::string_view::npos || close == 1) {
      refuse(text);
    }
    address.host = rest.substr(1, close - 1);
    rest = rest.substr(close + 1);
  } else {
    const std::size_t colon = rest.find(':');
    if (colon != 0) {
      address.host = rest.substr(0, colon);
    }
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon);
  }
  if (!rest.empty()) {
    if (rest.front() != ':') {
      refuse(text);
    }
    address.port = parsePort(rest.substr(1), text);
  }
  if (address.host.empty()) {
    refuse(text);
  }
  return address;
}

bool isLoopback(const ListenAddress& address) {
  in_addr v4 = {};
  const bool inNet127 =
      ::inet_pton(AF_INET, address.host.c_str(), &v4) == 1 && (ntohl(v4.s_addr) >> 24U) == 127;
  return inNet127 || address.host == "::1" || address.host == "localhost";
}

}  // namespace netcow
