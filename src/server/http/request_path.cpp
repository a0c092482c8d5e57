// SPDX-License-Identifier: Apache-2.0
#include "server/http/request_path.h"

#include <algorithm>
#include <string_view>

#include "server/http/form.h"

namespace netcow {

std::optional<std::string> canonicalPath(const std::string& target) {
  const auto decoded = decodePercent(std::string_view(target).substr(0, target.find('?')), false);
  if (!decoded) {
    return std::nullopt;
  }
  std::string path = toLowerCase(*decoded);
  const auto repeated = [](char left, char right) { return left == '/' && right == '/'; };
  path.erase(std::unique(path.begin(), path.end(), repeated), path.end());
  constexpr std::string_view kPrefix = "/cow";
  if (path == kPrefix || path.starts_with("/cow/")) {
    path.erase(0, kPrefix.size());
  }
  return path.empty() ? "/" : path;
}

}  // namespace netcow
