// SPDX-License-Identifier: Apache-2.0
#include "server/http/request_path.h"

#include <algorithm>
#include <string_view>

#include "server/http/form.h"

namespace netcow {
namespace {

/// Without what a proxy's request has before the path: "http://host:port".
std::string_view withoutOrigin(std::string_view target) {
  if (!target.starts_with('/')) {
    const std::size_t scheme = target.find("://");
    if (scheme != std::string_view::npos && scheme < target.find_first_of("/?")) {
      target.remove_prefix(scheme + 3);
      target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
    }
  }
  return target;
}

}  // namespace

std::optional<std::string> canonicalPath(const std::string& target) {
  const std::string_view path = withoutOrigin(target);
  const auto decoded = decodePercent(path.substr(0, path.find('?')), false);
  if (!decoded) {
    return std::nullopt;
  }
  std::string lower = toLowerCase(*decoded);
  const auto repeated = [](char left, char right) { return left == '/' && right == '/'; };
  lower.erase(std::unique(lower.begin(), lower.end(), repeated), lower.end());
  constexpr std::string_view kPrefix = "/cow";
  if (lower == kPrefix || lower.starts_with("/cow/")) {
    lower.erase(0, kPrefix.size());
  }
  return lower.empty() ? "/" : lower;
}

std::string_view queryOf(const std::string& target) {
  const std::size_t mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

}  // namespace netcow
